"""The dialect for Spark Connect: the bound and typed tree, written so that the other engine computes what Databricks computes."""
