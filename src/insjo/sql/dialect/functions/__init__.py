"""The functions of Databricks SQL that are computed right; whatever is not defined here is refused."""
