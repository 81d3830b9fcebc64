"""What was measured: metrics, reports and plots; torch-free."""
