"""Flower's own templates, with a link to the farm, filters for waiting and cancelled tasks, and a token (`wall.py`).

They are changed as they are read, so they stay those of the installed Flower. A text that it does not have any more is
left out.
"""

from __future__ import annotations

from pathlib import Path

from tornado.template import Loader, Template

from spaces_workers.flower.wall import TOKEN

_FIRST_TAB = '<ul class="app-nav navbar-nav">'
_LINK = '<li class="nav-item"><a class="nav-link" href="/">Spaces</a></li>'


def _filter(state: str, name: str) -> str:
    kind = f'class="task-state-filter" type="button" data-task-state="{state}" aria-pressed="false"'
    return f"<button {kind}>{name}</button>"


#: A farm does not use Celery's retries: a task that begins again keeps its state.
_LAST_FILTER = _filter("RETRY", "Retried")
_FILTERS = _filter("PENDING", "Waiting") + _filter("REVOKED", "Cancelled")

#: After the scripts, all of which ask by jQuery, and before they begin.
_END = "</body>"
_TOKEN = f"""<script>
  $(document).ajaxSend((_, request) =>
    request.setRequestHeader("{TOKEN}", "{{{{ handler.application.wall.token(handler.request) }}}}"));
</script>"""

#: Old and new text, by template.
CHANGES = {
    "base.html": (_END, f"{_TOKEN}{_END}"),
    "navbar.html": (_FIRST_TAB, f"{_FIRST_TAB}{_LINK}"),
    "tasks.html": (_LAST_FILTER, _FILTERS),
}


class Templates(Loader):
    """Loads Flower's templates; `with_link` if the home page is at the root of this address."""

    def __init__(self, folder: str, *, with_link: bool) -> None:
        super().__init__(folder)
        self._unchanged = set() if with_link else {"navbar.html"}

    def _create_template(self, name: str) -> Template:
        old, new = CHANGES.get(name, ("", ""))
        text = (Path(self.root) / name).read_text(encoding="utf-8")
        if old and name not in self._unchanged:
            text = text.replace(old, new)
        return Template(text, name=name, loader=self)
