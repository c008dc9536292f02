"""The engine on one machine: one process, one data folder, AWS's own wire protocols."""
