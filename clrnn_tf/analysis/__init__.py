"""What several runs say together: statistics over seeds, tables, figures."""
