"""Door: the Thrift protocol that JDBC, ODBC and the SQL connectors speak, over HTTP."""
