"""One room per AWS service: OPERATIONS = {name: function}."""
