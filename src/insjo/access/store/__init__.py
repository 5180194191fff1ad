"""All metadata SQL of the room, one module for each group of tables; private to `insjo.access.service`."""
