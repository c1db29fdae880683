# Evidence: statistics, efficiency, slices, robustness and the report, from the tables of all cells.
