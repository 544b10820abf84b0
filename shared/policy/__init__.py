"""Policy files: YAML with checked models, errors with line numbers, reload on change."""
