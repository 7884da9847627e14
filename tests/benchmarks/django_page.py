"""The same list as a Django page: what is overdue with one navigator, 50 lines, signed in, on the same database.

With sessions, accounts and protection against forged forms, through the ORM and Django's own templates: as a page is
written that nobody has made fast. PostgreSQL alone; the embedded database is encrypted, and Django cannot open it.
"""
# mypy: ignore-errors

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from sqlalchemy import make_url

_ACTS = ("done", "call", "booked", "snoozed", "rescheduled", "waived", "hand-over", "note")
_PAGE = """<!doctype html><html lang="en"><head><title>Worklist</title></head><body>
<p>{{ request.user.username }}</p><h1>Worklist</h1><p>{{ page.paginator.count }} lines</p>
<form method="post">{% csrf_token %}<table>
<thead><tr><th>What<th>Status<th>Due<th>State<th>Treatment<th>Navigator</tr></thead>
{% for item in page %}{% with case=item.case %}{% with day=item.due_on|date:'Y-m-d' %}<tbody>
<tr><td><input type="checkbox" name="item" value="{{ item.id }}~{{ day }}"></td>
<th><span>{{ item.activity }}</span>
<a href="{% url 'case' case.ref %}">{{ case.patient.name|default:case.patient.ref }}</a> {{ case.ref }}</th>
<td>{{ item.days }} days overdue</td><td>{{ item.due_on|date:'j M Y' }}</td><td>{{ case.state }}</td>
<td>{{ case.treatments|default:'–' }}</td><td>{{ item.navigator.email|default:'Nobody' }}</td></tr>
<tr><td colspan="7"><ul>{% for act in acts %}
<li><a href="{% url 'act' case.ref act %}?item={{ item.id }}~{{ day }}&back={{ back|urlencode }}">{{ act }}
<span>{{ item.activity }} for {{ case.ref }}</span></a></li>
{% endfor %}</ul></td></tr></tbody>{% endwith %}{% endwith %}{% endfor %}</table></form>
{% if page.has_next %}<a href="?page={{ page.next_page_number }}">More</a>{% endif %}</body></html>"""


def django_page(url: str, navigator: int, today: date, lines: int) -> Callable[[], int]:
    """Asks for the page and returns how many lines there are on it."""
    import django
    from django.conf import settings

    place = make_url(url)
    settings.configure(
        SECRET_KEY="of a benchmark",
        ALLOWED_HOSTS=["testserver"],
        ROOT_URLCONF=[],
        USE_TZ=True,
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions"],
        MIDDLEWARE=[
            "django.middleware.security.SecurityMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {
                    "context_processors": ["django.template.context_processors.request"],
                    "loaders": [
                        (
                            "django.template.loaders.cached.Loader",
                            [("django.template.loaders.locmem.Loader", {"list.html": _PAGE})],
                        )
                    ],
                },
            }
        ],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": place.database,
                "USER": place.username,
                "HOST": place.query["host"],
                "CONN_MAX_AGE": None,
            }
        },
    )
    django.setup()
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.test import Client

    settings.ROOT_URLCONF = _addresses(_models(), navigator, today, lines)
    call_command("migrate", verbosity=0)
    client = Client()
    client.force_login(User.objects.create_user("ana"))

    def ask() -> int:
        answer = client.get("/worklist")
        assert answer.status_code == 200
        return answer.content.count(b"<tbody>")

    return ask


def _models():
    from django.db import models

    class Of(models.Model):
        class Meta:
            abstract = True
            managed = False

    def table(called: str, db_table: str, /, **fields):
        meta = type("Meta", (), {"app_label": "peer", "db_table": db_table, "managed": False})
        return type(called, (Of,), {"__module__": __name__, "Meta": meta, **fields})

    def of(other):
        return models.ForeignKey(other, on_delete=models.DO_NOTHING)

    patient = table("Patient", "patient", ref=models.TextField(), name=models.TextField(null=True))
    person = table("Person", "person", email=models.TextField())
    case = table(
        "Case",
        "patient_case",
        ref=models.TextField(),
        patient=of(patient),
        state=models.TextField(),
        treatments=models.TextField(null=True),
    )
    return table(
        "FollowUp",
        "follow_up",
        case=of(case),
        navigator=models.ForeignKey(person, null=True, on_delete=models.DO_NOTHING),
        activity=models.TextField(),
        status=models.TextField(),
        due_on=models.DateField(),
        late_on=models.DateField(),
        days=property(lambda self: (self.today - self.late_on).days),
    )


def _addresses(follow_up, navigator: int, today: date, lines: int):
    from django.contrib.auth.decorators import login_required
    from django.core.paginator import Paginator
    from django.shortcuts import render
    from django.urls import path

    follow_up.today = today

    @login_required
    def worklist(request):
        found = follow_up.objects.filter(status="open", navigator_id=navigator, late_on__lt=today)
        found = found.select_related("case__patient", "navigator").order_by("late_on", "id")
        page = Paginator(found, lines).get_page(request.GET.get("page"))
        return render(request, "list.html", {"page": page, "acts": _ACTS, "back": request.get_full_path()})

    return (
        path("worklist", worklist),
        path("cases/<str:ref>", worklist, name="case"),
        path("cases/<str:ref>/acts/<str:act>", worklist, name="act"),
    )
