"""The engine on AWS: what runs in Lambda here, the stack in `stack`, what tends a living app in `upkeep`."""
