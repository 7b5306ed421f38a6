"""The words of the demo agency: invented people, companies and what they say to each other.

Nobody can be reached by them: phone numbers are from ranges that regulators keep for fiction
(Ofcom, ARCEP, Bundesnetzagentur, NANPA), domains under ``.example`` and ``example.org`` (RFC 2606).
"""

# ruff: noqa: RUF001, SIM905 - names have the letters they have; lists of words read best as text

from __future__ import annotations

from typing import NamedTuple

CONSULTANTS = {
    "ana": "Ana Moreira",
    "ben": "Ben Achterberg",
    "chidi": "Chidi Umeh",
    "dalia": "Dalia Haddad",
    "freya": "Freya Lindqvist",
    "kenji": "Kenji Morita",
}

NAMES = tuple(
    (given.split(), family.split())
    for given, family in (
        (
            "Amelia Callum Eleanor Finlay Georgia Harriet Isla Jack Jessica Lewis Maisie Oliver"
            " Poppy Rhys Rory Sophie Tamsin Tom",
            "Ashdown Barlow Calloway Dunmore Ellery Fairbank Garrick Hollis Kershaw Lockwood"
            " Merriman Norbury Penhale Radcliffe Stanhope Thackray Whitlock Wycombe",
        ),
        (
            "Aoife Cian Ciara Conor Declan Eoin Fiona Gráinne Niamh Oisín Orla Róisín Ruairí"
            " Sinéad",
            "Brannigan Carrick Coughlan Devaney Feeney Gilhooly Heaney Kinsella Lafferty"
            " McGarry O'Dowd O'Shea Quigley Tierney",
        ),
        (
            "Annika Bastian Clara Felix Greta Hannes Ida Jonas Karla Lukas Marlene Nils Paula"
            " Sönke Theresa Till Ulrike Vincent",
            "Ahrens Böttcher Dreyer Eickhoff Fährmann Grote Hagedorn Jansen Kessler Lohmann"
            " Möllering Nordhaus Osterkamp Pfeiffer Reinders Steinbach Tiedemann Weidlich",
        ),
        (
            "Agathe Bastien Camille Clément Élodie Florian Hugo Inès Léa Lucie Manon Mathis"
            " Noémie Quentin Rémi Solène Théo Zoé",
            "Aubertin Besnard Chauvet Delorme Fontanel Garnier Jolivet Lacombe Marchand"
            " Noirot Pélissier Rousselin Sauvage Tessier Vauclair Verdier",
        ),
        (
            "Álvaro Beatriz Carmen Diogo Elena Gonzalo Inês Joana Lucía Mateo Marta Nuno Paula"
            " Rafael Rita Sergio Sofía Tiago",
            "Abrantes Barrios Cardoso Delgado Esteves Figueira Galindo Lacerda Montalvo Nogueira"
            " Olmedo Pacheco Quintana Salgado Teixeira Valadares",
        ),
        (
            "Alessia Bianca Davide Edoardo Francesca Giulia Lorenzo Marco Matteo Noemi Pietro"
            " Serena Silvia Tommaso",
            "Bellandi Cattaneo Donadoni Falcone Ghirardi Lombardini Mantegna Orsini Pavesi"
            " Rinaldi Santoro Tedesco Vitali Zanetti",
        ),
        (
            "Agnieszka Bartosz Dorota Ewa Jakub Kasia Łukasz Magda Marek Ola Paweł Piotr"
            " Tereza Tomáš Zuzana Vojtěch",
            "Adamczyk Bielak Czarnecki Dvořák Gajda Horák Jabłoński Kolář Lisiecki Malinowski"
            " Nowicki Pokorný Rogalski Sobota Wrona Zieliński",
        ),
        (
            "Astrid Bjørn Emil Freja Henrik Ingrid Johanna Kasper Linnea Magnus Mikkel Signe"
            " Sofie Stellan Tove Viggo",
            "Åkerlund Bergström Dahlgren Ekholm Fossum Grønlund Hallberg Kjeldsen Lindahl"
            " Nygård Overgaard Sandvik Skoglund Tveit Vestergaard Westman",
        ),
        (
            "Aditya Ananya Arjun Deepa Divya Farhan Ishaan Kavya Meera Nikhil Priya Rahul"
            " Rohan Sana Shreya Tariq Vikram Zara",
            "Acharya Banerjee Chaudhry Deshmukh Gokhale Iyer Joshi Kulkarni Malhotra Menon"
            " Nambiar Qureshi Rao Saxena Thakur Venkatesan",
        ),
        (
            "Adaeze Amara Ayodele Chinedu Efua Femi Ifeoma Kofi Kwame Lindiwe Ngozi Nomsa"
            " Sipho Tendai Thandiwe Yaw",
            "Adeyemi Agyeman Boateng Chukwu Dlamini Eze Khumalo Mensah Moyo Ndlovu Obi"
            " Okonkwo Osei Owusu Sithole Zulu",
        ),
        (
            "Amir Dina Elif Emre Hadi Karim Layla Leila Mehmet Nadia Noor Omar Rania Samir"
            " Selin Yasmin Yusuf Zeynep",
            "Abdallah Aksoy Bakr Demirel Farouk Ghanem Hakimi Karaca Khoury Mansour Nasser"
            " Özkan Rahmani Sabbagh Tahiri Yıldırım",
        ),
        (
            "Akira Chen Hana Haruto Jia Jihoon Kaito Lan Linh Mei Minh Seo-yeon Sora Wei Yuki Xin",
            "Chang Fujita Hayashi Huang Kang Kwon Liang Matsuda Nguyen Okada Pham Shimizu Tran"
            " Xu Yoon Zhao",
        ),
    )
)


class City(NamedTuple):
    name: str
    currency: str
    phones: str  # a key of PHONES; "": there are none for fiction
    pay: float  # against Berlin


CITIES = (
    City("London", "GBP", "uk", 1.05),
    City("London", "GBP", "uk", 1.05),
    City("Manchester", "GBP", "uk", 0.85),
    City("Bristol", "GBP", "uk", 0.85),
    City("Berlin", "EUR", "de", 1.0),
    City("Berlin", "EUR", "de", 1.0),
    City("Hamburg", "EUR", "de", 0.98),
    City("Munich", "EUR", "de", 1.08),
    City("Paris", "EUR", "fr", 0.98),
    City("Lyon", "EUR", "fr", 0.88),
    City("Dublin", "EUR", "", 1.05),
    City("Amsterdam", "EUR", "", 1.02),
    City("Lisbon", "EUR", "", 0.7),
    City("New York", "USD", "us", 1.6),
    City("Boston", "USD", "us", 1.5),
)

_AREAS = "202 206 212 213 303 305 312 404 415 512 602 612 617 619 702 713 718 808 818 917".split()
PHONES = {
    "uk": [f"+44 7700 900{n:03}" for n in range(1000)]
    + [f"+44 20 7946 0{n:03}" for n in range(1000)],
    "de": [f"+49 {prefix}{n:03}" for n in range(1000) for prefix in ("30 23125", "40 66969")]
    + [f"+49 {prefix}{n:03}" for n in range(1000) for prefix in ("69 90009", "89 99998")],
    "fr": [f"+33 6 39 98 {n // 100:02} {n % 100:02}" for n in range(10_000)],
    "us": [f"+1 {area} 555 01{n:02}" for n in range(100) for area in _AREAS],
}


class Trade(NamedTuple):
    """A kind of work: what it is called, what one has to know, what it pays in Berlin (thousands
    of EUR a year, from junior to senior)."""

    titles: tuple[str, ...]
    skills: tuple[str, ...]
    pay: tuple[int, int]


TRADES = {
    "backend": Trade(
        ("Backend Engineer", "Senior Backend Engineer", "Staff Engineer", "Platform Engineer"),
        ("Go", "Kotlin", "PostgreSQL", "event sourcing", "Kubernetes", "Rust", "payments"),
        (62, 105),
    ),
    "frontend": Trade(
        ("Frontend Engineer", "Senior Frontend Engineer", "Mobile Engineer", "UX Engineer"),
        ("TypeScript", "accessibility", "design systems", "Swift", "React", "performance"),
        (56, 92),
    ),
    "data": Trade(
        ("Data Engineer", "Senior Data Scientist", "Analytics Engineer", "ML Engineer"),
        ("dbt", "forecasting", "Spark", "experimentation", "MLOps", "causal inference"),
        (60, 108),
    ),
    "product": Trade(
        ("Product Manager", "Senior Product Manager", "Product Designer", "Head of Product"),
        ("discovery", "pricing", "B2B onboarding", "roadmapping", "research", "marketplaces"),
        (60, 115),
    ),
    "finance": Trade(
        ("Financial Controller", "FP&A Manager", "Group Accountant", "Treasury Analyst"),
        ("IFRS 15", "consolidation", "audit", "cash forecasting", "SAP S/4HANA", "tax"),
        (55, 98),
    ),
    "sales": Trade(
        ("Account Executive", "Key Account Manager", "Sales Engineer", "Head of Sales DACH"),
        ("enterprise deals", "public tenders", "MEDDIC", "channel sales", "renewals"),
        (52, 110),
    ),
    "operations": Trade(
        ("Supply Chain Manager", "Operations Lead", "Procurement Manager", "Logistics Planner"),
        ("S&OP", "lean", "customs", "warehouse automation", "supplier audits"),
        (48, 88),
    ),
    "hardware": Trade(
        ("Electrical Engineer", "Embedded Engineer", "Test Engineer", "Controls Engineer"),
        ("Altium", "functional safety", "EMC testing", "PLC", "C++", "power electronics"),
        (54, 94),
    ),
    "quality": Trade(
        ("QA Manager", "Regulatory Affairs Manager", "Validation Engineer", "Clinical Lead"),
        ("GMP", "ISO 13485", "MDR", "CAPA", "batch release", "clinical trials"),
        (56, 100),
    ),
    "HR": Trade(
        ("HR Business Partner", "Talent Partner", "Payroll Manager", "Learning Lead"),
        ("works councils", "compensation", "onboarding", "labour law", "workforce planning"),
        (48, 84),
    ),
}


class Industry(NamedTuple):
    name: str
    specialty: str
    suffixes: tuple[str, ...]
    trades: tuple[str, ...]


INDUSTRIES = (
    Industry("Software", "Payments", ("Pay", "Ledgers", "Cloud"), ("backend", "product", "data")),
    Industry(
        "Software", "Logistics software", ("Systems", "Labs"), ("backend", "frontend", "sales")
    ),
    Industry(
        "Insurance", "Digital insurance", ("Assurance", "Mutual"), ("data", "finance", "backend")
    ),
    Industry(
        "Healthcare", "Medical devices", ("Medical", "Health"), ("quality", "hardware", "sales")
    ),
    Industry("Pharma", "Contract manufacturing", ("Biotech", "Pharma"), ("quality", "operations")),
    Industry("Energy", "Grid storage", ("Energy", "Power"), ("hardware", "operations", "finance")),
    Industry(
        "Industrial", "Robotics", ("Robotics", "Automation"), ("hardware", "backend", "sales")
    ),
    Industry("Logistics", "Freight", ("Freight", "Logistics"), ("operations", "finance", "HR")),
    Industry("Retail", "Marketplace", ("Market", "Goods"), ("frontend", "product", "operations")),
    Industry("Media", "Learning", ("Learning", "Studios"), ("product", "frontend", "HR")),
    Industry("Finance", "Asset management", ("Capital", "Partners"), ("finance", "data", "HR")),
    Industry(
        "Mobility", "Rail and transit", ("Transit", "Mobility"), ("operations", "backend", "data")
    ),
)

FIRST_WORDS = (
    "Aldermoor Amberlund Arbutus Ashgrove Beaconfell Birkdal Bluestem Brackenhall Brightwater"
    " Calderbrook Cedarholm Clearfathom Copperleaf Cormorant Dovecliff Driftmark Eastlark"
    " Eiderveld Elmstead Fallowgate Fernhollow Finchmere Foxhaven Glimmerdal Greywether"
    " Halcyra Harrowfield Hazelbrandt Heronsgate Ivorycrest Juniperus Kestrelmoor Kingsferry"
    " Larkspire Linnhe Lodestern Lumenwerk Marlowick Meridora Mistleburg Nettlecombe Northquay"
    " Oakhaven Orrery Ostrava Pebblebrook Pinnacor Quillon Ravensholm Rookery Rowanstead"
    " Saltmarsh Sablewood Silverbirch Skylark Solvane Starling Stonecrop Sundergate Tallowbridge"
    " Thistledown Tidewell Umberfield Valehurst Veridane Wexholm Willowrun Windermark Wrenfield"
    " Yarrowby"
).split()

MAIL = ("inbox.example", "postbox.example", "mail.example.org", "letters.example")

OUTREACH = (
    "Hi {given}, your work with {skill} caught my eye. I am looking for a {title} in {city}, pay"
    " around {pay}k. Fifteen minutes this week?",
    "Dear {given}, a client of mine in {city} wants a {title} who knows {skill}. Would you like to"
    " hear who and why?",
    "{given}, short question: would the right {title} role in {city} make you think about moving?",
    "Hello {given}, we have not met. I place people in {skill}, and a team of twelve in {city} just"
    " asked me for a {title}.",
    "Hi {given}, I saw your talk on {skill}. A founder I trust needs exactly that, as {title}."
    " Shall I send the brief?",
    "Good morning {given}, a {title} post in {city}: up to {pay}k, two days a week in the office."
    " Does that sound like you?",
    "Hi {given}, somebody you worked with said I should ask you first. {title}, {city}, a lot of"
    " {skill}. Interested?",
)
AGAIN = (
    "Hi {given}, we spoke some time ago about another post. I now have a {title} in {city} that"
    " fits you better. May I call?",
    "{given}, you asked me to come back when there was more {skill} in it. There is: {title},"
    " {city}.",
    "Good to be in touch again, {given}. A client in {city} needs a {title}; I thought of you"
    " first.",
)
FOLLOW_UP = (
    "Hi {given}, only making sure that this did not get lost. Is {title} in {city} worth a call?",
    "{given}, the shortlist closes on Friday. A yes or a no are both fine.",
    "Hello again {given}. If it is not for you, do you know somebody who should hear of it?",
    "Last note from me, {given}. I will keep you in mind for {skill} and leave you in peace.",
)
YES = (
    "Hi, sounds interesting. I can talk tomorrow after five.",
    "Thanks for writing. I am not actively looking, but for {skill} I would listen. Thursday?",
    "Yes please send me the brief. What is the notice period they expect?",
    "Good timing, we are being reorganised. Call me any evening this week.",
    "Happy to have a chat. Is remote from outside {city} possible?",
    "I would need at least {pay}k to move. If that is realistic, let us talk.",
    "Who is the client? If it is who I think, I am in.",
    "Sure. My CV is attached, it is from last year but mostly right.",
)
NO = (
    "Thank you, but I am happy where I am.",
    "Not now, I started here only in spring. Ask me again next year?",
    "{city} does not work for us with the school. Good luck with it.",
    "The pay is below what I have today, sorry.",
    "I have just signed somewhere else. Bad timing!",
    "Please do not write to me about {title} roles, I have moved to consulting.",
)
NO_REASONS = ("not_looking", "location", "salary_too_low", "took_another_job", "wrong_level")
BOOKING = (
    "Great, {given}. I will call you on the number you sent, it takes about half an hour.",
    "Thanks {given}! You will find an invitation in your inbox. The brief is attached.",
    "Perfect, {given}. Before we speak: have a look at the brief and tell me what is missing.",
)
SCREENING = (
    "Knows {skill} well, led a team of four. Notice period three months. Wants {pay}k.",
    "Warm, clear, a little modest. Two years of {skill}, would move to {city} with family.",
    "Leaves because of the third reorganisation in two years. Strong on {skill}, weaker on people.",
    "Interviews elsewhere too, final round next week. We have to be quick.",
    "Looking for more say in decisions. Expectation {pay}k, flexible for the right team.",
    "Solid. Built the {skill} part from nothing. References offered without being asked.",
    "Speaks German and English. Prefers three days at home, can live with two.",
    "Wants to understand the product before the money. Asked good questions about the founders.",
)
QUALIFIED = (
    "Meets all four must-haves. Send this week.",
    "Best of the list on {skill}. Coach on the salary question.",
    "Fits on paper and in person; the commute is the risk.",
    "Checked the two references: both would hire again.",
    "Good match, notice period can be shortened to six weeks.",
)
SCREENED_OUT = ("lacks_must_have_skill", "too_junior", "salary_too_high", "no_work_permit",
                "not_convincing_on_the_phone")  # fmt: skip
RIGHT = (
    "Yes, you may put me forward for this one, and only this one.",
    "Confirmed by e-mail: represented by us for this post, six months.",
    "Go ahead. Please leave out my current salary.",
    "Agreed on the phone, e-mail to follow.",
)
INTRODUCTION = (
    "{name}: eight years, the last three on {skill}. Asks for {pay}k, available in ten weeks.",
    "My first choice for you: {name}. Has done what you described, in a company of your size.",
    "Please find {name}. Not the cheapest on the list, and the one I would meet first.",
    "{name}, strong on {skill}, wants to come to {city}. Free for a call on Tuesday or Wednesday.",
)
TO_CLIENT = (
    "Hi {given}, {name} for {title}: CV and my notes attached. When could you meet?",
    "{given}, one more for {title}: {name}. I think you will like this one.",
    "Dear {given}, {name} is available this week and next. Shall I arrange it?",
)
CLIENT_SAYS_YES = (
    "Thanks, that looks good. Thursday at ten?",
    "Nice. The team wants to see some code first.",
    "Interesting profile. Please arrange a first call with me.",
    "Yes to a meeting. Can you find out about the notice period?",
    "Quite senior for the budget, but let us talk.",
)
CLIENT_SAYS_NO = (
    "Thank you, but not enough {skill} for us.",
    "We met somebody very similar last week. Not this one.",
    "Too expensive for where we are.",
    "Good person, wrong moment: the team wants more hands-on.",
)
CLIENT_REASONS = ("not_enough_experience", "stronger_candidate", "salary_too_high",
                  "lacks_must_have_skill", "team_fit")  # fmt: skip
DEBRIEF = (
    "Went well, by both accounts. They talked for twenty minutes longer than planned.",
    "Felt rushed, but likes the product. Wants to meet the team.",
    "Case study was hard; honest about what was guesswork, which they liked.",
    "Chemistry with the manager is right. Salary not raised yet.",
    "Asked about the runway and got a straight answer.",
    "A bit flat on {skill}, strong on everything else.",
)
WITHDRAWN = (
    "Took an offer from a company in the same street.",
    "The current employer made a counter-offer; stays.",
    "Family reasons, may be open again in the autumn.",
    "Did not like how the second interview went.",
    "Would not move for that salary after all.",
)
WITHDRAWN_REASONS = ("took_another_offer", "counter_offer", "family_reasons", "salary_too_low",
                     "lost_interest")  # fmt: skip
OFFER = (
    "Verbal offer at {pay}k, written one by Friday.",
    "Offer is out: {pay}k, thirty days of holiday, start flexible.",
    "They came up by 4k after I called. Contract goes out tomorrow.",
)
CHECK_IN = {  # days after the first one at work
    7: (
        "First week: laptop worked, team lunch, all good.",
        "Quiet start, the manager is on holiday. Nothing to worry about.",
        "Everything as promised so far.",
    ),
    35: (
        "Settled in. Manager says the same. Asked for nothing.",
        "Likes the work, the commute less. Keep an eye on it.",
        "First project is done, the second is bigger. Sounds happy.",
    ),
    100: (
        "Three months in, probation passed. Sent me a name for another post.",
        "Passed probation. Would like more responsibility in a year or two.",
        "All well; the guarantee period is as good as over.",
    ),
}
CANCELLED = ("budget_cut", "hiring_freeze", "filled_internally", "role_changed", "project_stopped")

PROSPECTING = (
    "Dear {given}, I place {trade} people in {city} and know three who would suit {company}.",
    "Hi {given}, you are hiring for {title}, I read. May I show you how we work?",
    "{given}, we met at the fair in {city}. You asked for our terms for {trade}; here they are.",
    "Dear {given}, two people from your neighbours asked me about {company}. Shall we talk?",
)
PROSPECT_ANSWERS = (
    "We do this ourselves at the moment. Try again after the summer?",
    "Send me your terms and one anonymous profile, please.",
    "Good that you write, our last agency disappointed us. Tuesday at nine?",
    "Please speak to {other}, who looks after this.",
)
CLIENT_CALLS = (
    "Plans two hires next quarter, budget not signed yet.",
    "Happy with the last start. Would recommend us to the sister company.",
    "New head of department in spring, wait for the introduction.",
    "Complained about slow feedback; it was theirs. Agreed on 48 hours both ways.",
    "Team grows to thirty. First priority is {title}.",
    "Nothing open. Asked about salaries in {city}, sent our table.",
    "Wants fewer CVs and more of a reason with each.",
)
MEETING = (
    "On site, an hour and a half. Three decision makers, all want speed.",
    "Walked me through the office. {title} first, two more after the funding round.",
    "Met {given} and the founder. They had two bad hires from an agency and are careful.",
)
PROPOSAL = (
    "Sent terms: {rate} % and a guarantee of {days} days.",
    "Proposal out: contingent, {rate} %, first refusal for a week on each post.",
)
DEAL_NOTES = {
    "contacted": ("First mail answered.", "Got through to the right desk.", "Call back promised."),
    "qualified": ("Budget for two posts confirmed.", "They do pay agencies.", "Pain is real."),
    "terms_agreed": ("Legal had two small wishes.", "Agreed as sent.", "Settled on the phone."),
    "won": ("Signed.", "Signature is in.", "First brief arrives on Monday."),
}
LOST = ("hires_directly", "other_agency", "no_budget", "no_decision", "terms_too_high")
DEAL_TITLES = ("Frame agreement {trade}", "{trade} hiring {year}", "Preferred supplier {city}")
TERMS = (
    "Exclusive for the first three weeks.",
    "Rebate in thirds during the guarantee.",
    "Applies to all posts unless agreed otherwise.",
    "Payment counts from the first day at work.",
)
RENEGOTIATED = (
    "Volume discount from the fourth placement on.",
    "Came down two points for exclusivity, longer guarantee in return.",
    "Procurement harmonised all suppliers; we kept the minimum fee.",
)
QUIET = (
    "Hi {given}, we have not spoken for a while. Is there anything on your list for this quarter?",
    "{given}, I hope all is well. A {title} I know is free from next month. Shall I send the"
    " profile?",
)
NOTHING_NEW = (
    "Nothing this quarter, but keep writing.",
    "Perhaps after the budget round. Call me in six weeks.",
    "Yes, send it. No promises.",
    "We have one coming, I will phone you.",
)
BRIEF = (
    "Brief: {title}, must know the basics by heart, team of seven, {pay}k at the very most.",
    "Brief for {title}: the last two candidates failed on communication. Start as soon as"
    " possible.",
    "{title}: replaces somebody who moved abroad. Two rounds, decision in one meeting.",
    "Needs a {title} who stays. Budget up to {pay}k, relocation is paid.",
)
OVER = "The {title} post in {city} is closed now, {given}. I keep you in mind for the next one."
ORIGINS = {
    "referral": ("recommended by somebody we placed", "named by a client", "a colleague's tip"),
    "job_board": ("answered our advertisement", "board search, last six months"),
    "website": ("form on our site", "team page of the company"),
    "event": ("meetup in spring", "trade fair, stand 14", "university careers day"),
    "database": ("old spreadsheet of 2019", "list from the previous system"),
}
HOLIDAYS = frozenset({(12, 24), (12, 25), (12, 26), (12, 31), (1, 1), (5, 1)})
PLAIN = str.maketrans({"ø": "o", "ł": "l", "ß": "ss", "ı": "i", "æ": "ae", "'": "", "-": ""})
