"""The public face of the room, one module for each noun; `facade.Access` holds them all."""
