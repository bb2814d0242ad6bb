"""The machine: devices, memory, several processes, signals."""
