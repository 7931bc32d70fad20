"""What people see of a run: progress while it works, tables when it is done."""
