"""Figures over incidents: MTTA, MTTR and their definitions."""
