"""The navigator's desk: accounts and sessions, saved views, what the pages count, team meetings.

Revision: 0003; follows: 0002
"""

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _accounts()
    _worklist()
    _case_page()
    _rooms()


def downgrade() -> None:
    _without_rooms()
    _without_case_page()
    _without_worklist()
    _without_accounts()


# Accounts and sessions -------------------------------------------------------------------------------------


def _accounts() -> None:
    pass


def _without_accounts() -> None:
    pass


# The worklist ----------------------------------------------------------------------------------------------


def _worklist() -> None:
    pass


def _without_worklist() -> None:
    pass


# The case page ---------------------------------------------------------------------------------------------


def _case_page() -> None:
    pass


def _without_case_page() -> None:
    pass


# Dashboard and rooms ---------------------------------------------------------------------------------------


def _rooms() -> None:
    pass


def _without_rooms() -> None:
    pass
