"""The public face of the catalog: one module a noun; `room.CatalogRoom` holds them together."""
