"""What a benchmark prints: small tables, and the bars of the project as passed or missed.

Progress goes to stderr, results to stdout; the same rows can be written as JSON. A bar judges
pgroute only: PgBouncer is there to compare with."""

import json
import sys


def show(value):
	"""A figure with three or four digits that matter; text as it is; None as a dash."""
	if value is None:
		return "-"
	if isinstance(value, (str, int)):
		return f"{value:,}" if isinstance(value, int) else value
	if abs(value) >= 1000:
		return f"{value:,.0f}"
	return f"{value:.1f}" if abs(value) >= 100 else f"{value:.2f}"


def ratio(value, reference):
	return value / reference if value is not None and reference else None


class Report:
	def __init__(self):
		self._tables = []
		self._bars = []

	@property
	def missed(self):
		return [bar for bar in self._bars if not bar["passed"]]

	@staticmethod
	def progress(text):
		print(f"... {text}", file=sys.stderr, flush=True)

	def table(self, title, header, rows):
		"""Columns as wide as their widest cell; the first to the left, the others to the right."""
		self._tables.append({"title": title, "header": header, "rows": rows})
		cells = [header] + [[show(value) for value in row] for row in rows]
		widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
		print(f"\n{title}")
		for row in cells:
			rest = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))
			print("  ".join(["  " + row[0].ljust(widths[0]), *rest]).rstrip())
		sys.stdout.flush()

	def note(self, text):
		print(f"  {text}", flush=True)

	def bar(self, what, value, at_most=None, at_least=None):
		passed = value <= at_most if at_least is None else value >= at_least
		bound = at_most if at_least is None else at_least
		limit = f"at {'most' if at_least is None else 'least'} {show(bound)}"
		self._bars.append({"what": what, "value": value, "limit": limit, "passed": passed})
		shown = show(value) if passed or show(value) != show(bound) else f"{value:.4f}"
		print(f"  {'ok    ' if passed else 'MISSED'} {what}: {shown} ({limit})", flush=True)

	def beside_base(self, figures, what, compare=ratio):
		"""One line for each figure of pgroute that the base build has, too. Keys begin with the
		contestant's name."""
		for key, figure in figures.items():
			name, *rest = key if isinstance(key, tuple) else (key,)
			other = name.replace("pgroute", "base", 1)
			other = (other, *rest) if rest else other
			if name.startswith("pgroute") and other in figures:
				subject = ", ".join((what, name, *rest))
				self.note(
					f"{subject}, beside the base build: {show(compare(figure, figures[other]))}"
				)

	def save(self, path):
		with open(path, "w", encoding="utf-8") as file:
			json.dump({"tables": self._tables, "bars": self._bars}, file, indent=1)
			file.write("\n")
