"""What SQL costs: Insjö's HTTP door, the plain limit and peers, in one run."""
