"""What is measured, one room per question. Each has `measure(plan) -> list[Table]`."""
