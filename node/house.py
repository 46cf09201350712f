"""`House`: what the doors of one worker are given. Built in worker.py, read by listen/ and console/."""

from dataclasses import dataclass

from node.admission import Admission
from node.announcer import Announcer
from node.config import Config
from node.doorkeeper import Doorkeeper
from node.files.intake import Intake
from node.iiidap.names import Names
from node.iiidap.register import Register
from node.keyholders import Keyholders
from node.meter import Meter
from node.recording import Recording
from node.register.measured import MeasuredBatcher
from node.resolve.hot import Hot
from node.resolve.measured import Measured
from node.resolve.signposts import Signposts
from node.sight import Sight
from node.site_key import SiteKey
from node.slices import Slices
from node.verifier import Verifier
from registry.blanker import Blanker
from registry.examiner import Examiner
from registry.lookup import Lookup
from registry.steward import Steward


@dataclass(frozen=True, slots=True)
class House:
    """The rooms behind the doors.

    Clients are answered by `road`, those who are signed in by `sight`; `hot` is `road` uncounted, for what the node
    asks itself. `signposts` say who answers for what does not live here. `slices` divides what would hold the loop for
    long. `files` is None where no folder is set for them; `names` and `register` are what IIIDAP searches and refers
    by. Without `site_key` no answer is certified.
    """

    config: Config
    admission: Admission
    meter: Meter
    road: Measured
    hot: Hot
    lookup: Lookup
    signposts: Signposts
    sight: Sight
    steward: Steward
    examiner: Examiner
    batcher: MeasuredBatcher
    blanker: Blanker
    slices: Slices
    announcer: Announcer
    doorkeeper: Doorkeeper
    keyholders: Keyholders
    verifier: Verifier
    files: Intake | None
    names: Names
    register: Register
    recording: Recording
    site_key: SiteKey | None
