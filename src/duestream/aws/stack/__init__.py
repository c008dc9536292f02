"""The stack: the template that CloudFormation deploys, the bundle that Lambda runs, and what deploys them."""
