"""Object stores: S3, Azure Blob Storage and what speaks like them, through the library obstore."""
