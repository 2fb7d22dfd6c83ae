"""HTML pages as tests read them."""

from html.parser import HTMLParser

_ALONE = {"meta", "img", "path", "use", "rect", "circle", "br", "image"}
_LINKS = ("src", "href", "xlink:href", "srcset", "poster", "data")


class Page(HTMLParser):
    """What is in a page: tags, ids, links, and the text of its tables and headings."""

    def __init__(self, text):
        super().__init__()
        self.text, self.tags, self.ids, self.links, self.styles = text, [], [], [], []
        self.tables, self.headings = [], []
        self._open, self._cell, self._heading = [], None, None
        self.feed(text)
        self.close()
        assert not self._open, f"not closed: {self._open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in _LINKS:
                self.links.append(value)
            if name == "style":
                self.styles.append(value)
        if tag not in _ALONE:
            self._open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self._cell = ""
        elif tag in ("h1", "h2", "h3"):
            self._heading = ""

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in _ALONE:
            self._open.pop()

    def handle_endtag(self, tag):
        if tag in _ALONE:
            return
        assert self._open and self._open[-1] == tag, f"</{tag}> closes {self._open[-1:]}"
        self._open.pop()
        if tag in ("td", "th"):
            self.tables[-1][-1].append(self._cell)
            self._cell = None
        elif tag in ("h1", "h2", "h3"):
            self.headings.append(self._heading)
            self._heading = None

    def handle_data(self, data):
        if self._cell is not None:
            self._cell += data
        if self._heading is not None:
            self._heading += data

    def count(self, tag):
        """How many elements of a kind there are."""
        return sum(name == tag for name, _ in self.tags)

    def rows(self):
        """The rows of all tables, each a list of the text of its cells."""
        return [row for table in self.tables for row in table]

    def row(self, first):
        """The first row whose first cell begins with a text."""
        found = [row for row in self.rows() if row and row[0].startswith(first)]
        assert found, f"no row {first} in {self.rows()}"
        return found[0]
