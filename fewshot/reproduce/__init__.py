"""Every accuracy of the README out of one command: experiments, their records, tables, plots."""
