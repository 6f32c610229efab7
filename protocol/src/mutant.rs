//! Named faults that prove the tests.
//!
//! Every end-to-end promise must fail against a mutant that breaks it, or the test promises
//! nothing. A mutant is one line at the place where the promise is kept: `if
//! mutant::active(Mutant::…)`. Without the feature `mutants`, which no released program has,
//! [`active`] is constantly false and the compiler removes the line; with it, the environment
//! variable `DRIFTLINE_MUTANT` names the fault of this run, and a program that does not know the
//! name must not start: see `check`.

/// A list that cannot forget one: the enum and `ALL` are made of the same lines.
macro_rules! mutants {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Every mutant there is, with the program it lives in and the promise it breaks.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Mutant {
            $($(#[$doc])* $name,)*
        }

        impl Mutant {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

mutants! {
    /// Collector. *Acknowledge only after durable*: answers first, and commits a moment later.
    AcknowledgeBeforeCommit,
    /// Collector. *Sending twice changes nothing*: a group written twice is applied twice.
    ApplyKnownGenerationAgain,
    /// Collector. *Cosmetic is not drift*: other bytes with the same meaning are a modification.
    CosmeticIsModified,
    /// Collector. *A restart is no change*: the sums of changes begin at 0 with each start.
    CountFromZeroAtStart,
    /// Collector. *Everything is bounded*: a body becomes as large as its sender likes.
    DecompressWithoutBound,
    /// Collector. *A token speaks for its own host*: whoever the body names is the sender.
    BelieveTheBodyNotTheToken,
    /// Collector. *Two that speak under one name are told apart*: every session is the same one.
    IgnoreSessions,
    /// Collector. *An alert leads to its evidence*: nobody is told where the portal is.
    NoPortalAddress,
    /// Collector. *Unobserved is not absent*: rules take what was not read for what is not there.
    RulesTakeUnreadForAbsent,
    /// Collector. *Unobserved is not absent*: a file that was not read counts as empty when a
    /// server is held against it.
    DiscrepanciesTakeUnreadForAbsent,
    /// Collector. *An exception ends when it says*: what is over permits as if it were not.
    ExceptionsNeverExpire,
    /// Collector. *What ends by itself is told in time*: only a report has a host judged.
    TimeStandsStill,
    /// Agent. *Acknowledge only after durable*: a version counts as delivered when it is sent.
    ForgetVersionBeforeAcknowledgement,
    /// Agent. *What was seen waits on disk*: the spool is gone with the process.
    KeepSpoolInMemory,
    /// Agent. *Unobserved is not absent*: a file that may not be read counts as empty.
    DeniedIsEmpty,
    /// Agent. *Unobserved is not absent*: a file too large to be understood is left out.
    TooLargeIsAbsent,
    /// Agent. *Cosmetic is not drift*: each setting has a place, whether order matters or not.
    OrderAlwaysCounts,
    /// Agent. *A restart is no change*: the host's own key, and with it all state, is made anew.
    ForgetStateAtStart,
    /// Agent. *Everything is bounded*: a part takes what its file holds, and is cut later.
    PartsWithoutEnd,
    /// Agent. *Everything is bounded*: whoever writes a file has names hashed as often as he likes.
    NamesWithoutEnd,
    /// Agent. *Nothing a collector says mutes an agent*: a token that no request can carry is kept.
    AnyTokenIsTaken,
    /// Agent. *Everything is bounded*: what a collector says goes into the log as it comes.
    CollectorsWriteTheLog,
    /// Agent. *What a person opens is not told*: groups of his hide whose a socket is.
    PeoplesGroupsAreWalked,
    /// Agent. *A secret goes to the collector alone*: over plain http whoever answers has it.
    WhoeverAnswersIsTheCollector,
    /// Agent. *Nobody on the loopback takes a host's identity*: whoever calls it a copy makes it
    /// one.
    WhoeverSaysSoMakesCopies,
    /// Agent. *Only regular files are opened*: pipes and devices are opened and read too.
    OpenWhateverIsThere,
    /// Agent. *A restored collector learns what it lost*: what it lacks is not sent again.
    IgnoreEpoch,
    /// Agent. *Only redacted data leaves the host*: the redactor lets everything through.
    RedactNothing,
    /// Agent. *A change is seen when it happens*: the kernel's word for it is not heard.
    DeafWatcher,
    /// Agent. *What a source reads is watched*: what it finds to be read after it was started is
    /// not.
    WatchedOnlyAtTheStart,
    /// Agent. *What a network hands out is nobody's change*: files it rewrites are read as others.
    NetworksConfigure,
    /// Agent. *A source keeps within its budget*: nobody looks what a pass costs.
    BudgetsWithoutEnd,
    /// Agent. *A probe tells what was answered*: whatever the code, all is well.
    EveryCodeIsOk,
    /// Agent. *A certificate that has ended is told*: its last day is not looked at.
    CertificatesNeverEnd,
    /// Agent. *A domain's servers are those that DNS names*: services are not asked for.
    DomainsHaveNoServices,
    /// Agent. *A port that waits is told*: whoever is reached by IPv6 is not looked for.
    ListenersForgetIpv6,
    /// Agent. *A certificate ends when it says*: its last day is counted twice.
    CertificatesEndADayLater,
    /// Agent. *What runs is what the kernel says*: parameters run as they are configured.
    ConfiguredParametersRun,
    /// Agent. *The first rule that fits decides*: running rules are told in any order.
    RunningRulesHaveNoOrder,
    /// Agent. *Every account is told*: those of the system are nobody's business.
    AccountsOfTheSystemAreNobody,
    /// Agent. *A version is what dpkg and rpm say*: what stands before its colon is cut off.
    VersionsLoseTheirEpoch,
    /// Agent. *What was committed is told*: the log that stands beside a database is not looked at.
    LoggedWordsAreLost,
    /// Agent. *What is read is what was looked at*: a database is opened again by its name.
    DatabasesAreOpenedByName,
    /// Agent. *What is told was so at one moment*: nobody asks whether a database was written.
    DatabasesStandStill,
    /// Agent. *What changed is told*: a file of anybody's is the same where its times are.
    TimesProveEveryFile,
    /// Agent. *A database runs nothing of its own*: a view in the place of a table is asked.
    ViewsAreTables,
    /// Agent. *Who asked for a package is told*: what another package needed counts as asked for.
    DependenciesAreAskedFor,
    /// Agent. *A value is what a shell has*: backslashes of os-release are kept.
    EscapesAreKept,
    /// Agent. *Only redacted data leaves the host*: a key that is too long ends within a word.
    CutWordsStay,
    /// Agent. *The last of a client's settings counts*: the first one does.
    FirstSettingCounts,
    /// Agent. *What cron reads is told*: so is what editors and packages left behind.
    LeftTablesCount,
    /// Agent. *The last file that sets a policy counts*: the first one does.
    FirstPolicyCounts,
    /// Agent. *A sign within a word means itself*: PipeWire's comments begin within words too.
    CommentsBeginAnywhere,
    /// Agent. *The last snippet counts*: files in the folder of sssd.conf are not read.
    SnippetsAreNotRead,
    /// Agent. *A realm has all its servers*: of a setting that repeats the last one is told.
    LastServerIsAll,
    /// Agent. *Only redacted data leaves the host*: a command line is a key, which nobody redacts.
    CommandsAreKeys,
    /// Agent. *Only redacted data leaves the host*: `/etc/passwd` is told as any
    /// text is.
    PasswordsOfAccountsAreTold,
    /// Agent. *A file is as a run left it where its bytes say so*: whatever is there, the run left.
    RunsLeftWhateverIsThere,
    /// Agent. *What a run would do changed nothing*: events without changes count as changes.
    NoopRunsChange,
    /// Collector. *A file is a run's where it is as the run left it*: whatever a run names is its.
    RunsExplainWhateverTheyName,
    /// Collector. *A run that is told after its files explains them*: nothing is looked at again.
    RunsComeTooLate,
    /// Collector. *Installing is a decision*: what a log tells of is routine, whoever asked.
    DecisionsAreRoutine,
    /// Agent. *An interface is told under its name*: its number of this boot is its name.
    InterfacesAreNumbers,
    /// Agent. *The last drop-in wins*: they are read from the end.
    DropInsCountBackwards,
    /// Agent. *What a network hands out is nobody's change*: a leased address is a lasting one.
    LeasesAreConfigured,
    /// Agent. *What comes by itself is no change*: ports that the kernel chose are told.
    ChosenPortsAreTold,
    /// Agent. *Half of an update is no state*: nobody waits for a package manager at work.
    HalfInstalledIsInstalled,
    /// Agent. *Unobserved is not absent*: a lock that cannot be asked is held by nobody.
    LocksNobodyCanAskAreFree,
    /// Agent. *Containers and tunnels come and go*: their interfaces are told as the host's.
    EveryInterfaceIsTheHosts,
    /// Agent. *Many passes leave nothing behind*: each pass leaves a file open.
    FilesStayOpen,
    /// Agent. *Many passes leave nothing behind*: each pass keeps a little memory.
    PassesAreRemembered,
    /// Agent. *Unobserved is not absent*: a database that no library reads holds nothing.
    OtherDatabasesAreEmpty,
    /// Agent. *Containers come and go*: jobs without a restart policy are told too.
    JobsAreContainers,
    /// Agent. *A container is bound where it says*: ports of Docker's lose their address.
    PortsAreBoundEverywhere,
    /// Agent. *What a container sees it may not always write*: all that it sees it may.
    BindsAreWritable,
    /// Agent. *Unobserved is not absent*: a container whose name nobody knows is none.
    NamelessContainersAreGone,
    /// Agent. *Unobserved is not absent*: accounts that are not looked into have nothing.
    UnreadAccountsAreGone,
    /// Agent. *Unobserved is not absent*: a malformed line of a table of accounts hides nobody.
    MalformedLinesAreNobodys,
    /// Agent. *Only root leads to what is root's*: links to a home count wherever they stand.
    AnybodyLeadsHome,
    /// Agent. *What an account links to is not its own*: links out of a home are followed.
    HomesHaveNoFence,
    /// Agent. *A home belongs to its account*: links lead from one account's to another's.
    HomesAreWhereverTheyLead,
    /// Agent. *Nothing that an image says hides its container*: labels of pods count everywhere,
    /// and the newer of two with one name is all there is.
    ImagesHideContainers,
    /// Agent. *Everything is bounded*: values that reach over each other are looked at over and
    /// over, by the square of their line.
    LongValuesAreLeft,
    /// Agent. *Everything is bounded*: a database of BoltDB is walked as often as it says.
    DatabasesWithoutEnd,
    /// Agent. *An agent at rest is small*: what a large pass leaves is not given back.
    FreedMemoryIsKept,
    /// Agent. *An agent at rest is small*: what was on its way when a pass ended is not given back.
    DeliveredMemoryIsKept,
    /// Agent. *A device is allowed what its line says*: devices and rights are words in any order.
    DevicesShareTheirRights,
    /// Agent. *A unit that a link pulls in is enabled*: links are not looked at.
    LinksEnableNothing,
    /// Agent. *A mount has its own options*: only those of its file system are told.
    MountsHaveNoOptionsOfTheirOwn,
    /// Agent. *The first value counts*, as sshd reads it: the last one does.
    LastSettingCounts,
    /// Agent. *What stands before a command holds for those behind it*: each has its own tags.
    TagsEndWithTheirCommand,
    /// Collector. *A source has a label of its own*: the last one of the list is forgotten.
    SourcesAreForgotten,
    /// Agent. *Whatever is gone is noticed*: a pass that heard nothing else heard it all.
    NothingIsMissed,
    /// Engine. *What wavers anyway is no rise*: cases are taken to be Poisson.
    CorrelateNoDispersion,
    /// Engine. *What hits everybody is nobody's doing*: unexposed sites are not looked at.
    CorrelateNoControls,
    /// Engine. *Of all claims few are wrong*: each change is judged as if it were the only one.
    CorrelateNoMultiplicity,
    /// Engine. *The window is fixed before anybody looks*: the one that shows most is taken.
    CorrelateWindowAfterLooking,
    /// Engine. *What chance explains supports nothing*: a q-value alone makes a change supported.
    CorrelateSupportedByQAlone,
    /// Engine. *The same hours of other weeks are compared*: clocks are never changed.
    CorrelateIgnoresClocks,
    /// Engine. *Few sites support nothing*: of several waves chance is always drawn, never listed.
    StagedCohortsAreDrawn,
    /// Engine. *Until has one meaning*: what was opened on that second is known.
    UntilHoldsItsOwnSecond,
    /// Engine. *What is said to be put up with counts*: sums are held against Rossi's threshold.
    SumsKnowNoAlpha,
    /// Command. *A day is told as the day it is*: its beginning is told in UTC.
    BucketsBeginInUtc,
    /// Command. *A long answer costs no memory*: it is written when all of it is there.
    RowsStandInMemory,
    /// Engine. *Unobserved is not absent*: what lies between all cases and a lone one is read.
    StragglersStretchTheReading,
    /// Collector. *A partial reading is unobserved*: whatever was read of cases counts as all.
    PartialReadIsWhole,
    /// Collector. *No source keeps others from being heard*: all wait for one never read whole.
    UnreadSourcesHoldAll,
    /// Collector. *No source takes another's words*: all sources together have one bound.
    CaseWordsAreShared,
    /// Collector. *A slip of the keyboard is no source*: whatever name an empty list comes under.
    EmptyListsMakeSources,
    /// Collector. *People stay out of cases*: their names in other systems are kept as words.
    PeopleStayInCases,
    /// Collector. *A change touches whom its host serves*: only its own site is looked at.
    CentralHostsServeTheirOwnSite,
    /// Collector. *Only what was approved is expected*: every request counts as approved.
    EveryRequestIsApproved,
    /// Collector. *No request widens by itself*: one that lost its hosts covers its items on all.
    LostHostsAreAll,
    /// Collector. *No request widens by itself*: a list that the configuration names and nobody
    /// sent is an empty one.
    AbsentLimitsAreEmpty,
    /// Collector. *A request that ends on a day covers that day*: it ends where the day begins.
    LastDaysDoNotCount,
    /// Collector. *In a blackout nothing is expected but an emergency*: blackouts do not count.
    BlackoutsDoNotCount,
    /// Collector. *Noise is learned, not guessed*: a value that came back once is flapping.
    OneTurnIsFlapping,
    /// Collector. *Seeing differently is not change*: what a newer reader says is a change.
    RecastIsAChange,
    /// Collector. *A request speaks of what it names*: it covers whatever happens in its time.
    RequestsCoverEverything,
    /// Collector. *What packages bring is nobody's deed*: dpkg's work explains nothing.
    PackagesExplainNothing,
    /// Collector. *Drift that was meant wakes nobody*: whatever opened it, it asks for somebody.
    DriftIsAlwaysLoud,
    /// Collector. *Drift that nobody meant wakes somebody*: the first change explains what follows.
    OldIntentExplainsNewDrift,
    /// Collector. *A list leaves out what it names*: whatever happens to the item is left out.
    ListsCoverEveryKind,
    /// Collector. *The portal needs nobody else*: its style comes from another server.
    PagesAskElsewhere,
    /// Collector. *A suspect is not one without its rise*: every change is claimed to be supported.
    EveryChangeIsSupported,
    /// Collector. *A host is held to what was agreed of its group*: groups' baselines bind nobody.
    GroupsAgreeToNothing,
    /// Collector. *What a group exempts is each host's own*: it is compared like all else.
    ExemptKeysAreCompared,
    /// Collector. *Who accepts one item accepts nothing else*: the baseline takes the whole part.
    AcceptanceTakesTheWholePart,
    /// Collector. *Who accepts a finding accepts what was read of it*: whatever it has by then.
    AcceptsWhatNobodyRead,
    /// Collector. *An accepted exception permits what was read*: whatever the item becomes.
    ExceptionsPermitAnyValue,
    /// Collector. *Who approves a request approves what it left*: whatever came after it too.
    RequestsTakeLaterChanges,
    /// Collector. *Who approves a rollout approves what it brought*: whatever came after it too.
    RolloutsTakeLaterChanges,
    /// Collector. *The log tells requests as they came*: two posts at once know nothing of each
    /// other.
    RequestsWaitForNobody,
    /// Collector. *Who permits a change or makes a token is named*: no event is left of it.
    DeedsAreNobodys,
    /// Collector. *What was typed into a form is not lost*: a slip is answered without it.
    FormErrorsLoseWhatWasTyped,
    /// Collector. *A configuration that is not in use is told where people look*: the log knows.
    RefusedReloadsAreOnlyLogged,
    /// Collector. *The overview counts as the list does*: what asks for nobody counts too.
    OverviewCountsWhatIsQuiet,
    /// Collector. *An approval says of what alone*: what hosts have for themselves is unsaid.
    ApprovalsNameNoScope,
    /// Collector. *A token takes no other's place unasked*: it does, whoever holds the other.
    TokenReplacesUnasked,
    /// Collector. *A token that ends is told of before it does*: each is valid until it is not.
    TokensEndUntold,
    /// Collector. *A refused enrolment is told*: it is answered, and nobody here hears of it.
    RefusedEnrolmentsAreUntold,
    /// Collector. *A flood of refusals is no flood of lines*: each is logged.
    EveryRefusalIsLogged,
    /// Collector. *A laptop that sleeps wakes nobody*: every silence counts alike.
    NobodySleeps,
    /// Collector. *A host under another name than its own is told*: nobody hears that it was taken.
    NamesAreTakenInSilence,
    /// Collector. *A save is noticed where the configuration looks*: what was watched at the start
    /// is, and nothing else.
    OldPlacesAreWatched,
    /// Collector. *What nobody approved is a warning*: it is for the record, as all configuration.
    UnauthorisedIsForTheRecord,
    /// Collector. *A name is given once*: what was decided a moment ago and is not durable yet is
    /// not looked at.
    NamesOnTheirWayAreFree,
    /// Collector. *Who was given a finding answers for it*: assignments move neither metric nor
    /// chain.
    AssignmentsMoveNothing,
    /// Collector. *What is permitted takes nobody's place*: it counts as looked at.
    PermittedTakePlaces,
    /// Collector. *What nobody acknowledges goes to the next in the chain*: the first keeps it.
    NobodyIsNext,
    /// Collector. *A pass costs what changed*: the engine reads its whole look-back in each pass.
    EveryPassReadsEverything,
    /// Collector. *What is due has its turn*: the same thousand drifts are weighed each time.
    FirstDueAlwaysFirst,
    /// Collector. *No source pushes another out*: whoever has most requests is all that counts.
    OneSourceTakesAll,
    /// Collector. *A finding that opens anew is nobody's again*: whoever saw it before sees to it.
    AcknowledgedForEver,
    /// Collector. *Notes leave room for acts*: all lines of a finding have one bound.
    NotesTakeAllLines,
    /// Collector. *Noise is learned over days*: ten turns in a minute are enough.
    FlappingNeedsNoTime,
    /// Collector. *Noise without an end is told*: a value that alternates for ever is quiet for
    /// ever.
    NoiseIsNeverTold,
    /// Collector. *What led away from the baseline decides*: a later window makes it meant.
    LaterIntentExplainsOldDrift,
    /// Collector. *dpkg explains dpkg's*: programs of Windows are its transactions too.
    WindowsProgramsAreDpkgs,
    /// Collector. *An emergency is approved afterwards*: or it is quiet for ever.
    UnapprovedEmergenciesAreQuiet,
    /// Collector. *An emergency of a host takes nothing from a package*: it claims what patching
    /// brought in its hours.
    EmergenciesClaimPatching,
    /// Collector. *The worst come first*: only the newest findings are looked at.
    ListsAreCutBeforeTheyAreSorted,
    /// Collector. *What was seen and is not any more is told*: a blind spot is nobody's to look
    /// at.
    BlindnessIsNotTold,
    /// Collector. *A template's change says how far it goes*: who takes from it through another
    /// template is forgotten.
    HeirsOfHeirsAreForgotten,
    /// Collector. *An alert finds who answers for it*: metrics give every finding to nobody.
    EverythingIsNobodys,
    /// Collector. *A baseline that was removed binds nobody*: it is held against hosts all the
    /// same.
    RemovedBaselinesBind,
    /// Collector. *dpkg explains what dpkg shipped*: whatever stands in a configuration file is
    /// its package's doing.
    ConffileIsExpectedWhateverItsBytes,
    /// Collector. *Who takes back what he did has done nothing*: unless another line of the file
    /// changed meanwhile.
    ReversalsAreOfWholeValues,
}

impl Mutant {
    /// Its name in the environment: its own, in small letters with `_` between the words.
    pub fn name(self) -> String {
        let mut name = String::new();
        for letter in format!("{self:?}").chars() {
            if letter.is_ascii_uppercase() && !name.is_empty() {
                name.push('_');
            }
            name.push(letter.to_ascii_lowercase());
        }
        name
    }
}

/// The name in the environment, read once.
#[cfg(feature = "mutants")]
fn chosen() -> Option<&'static str> {
    use std::sync::OnceLock;
    static NAME: OnceLock<Option<String>> = OnceLock::new();
    #[allow(clippy::disallowed_methods, reason = "the test names the fault; never in a release")]
    let read = || std::env::var("DRIFTLINE_MUTANT").ok();
    NAME.get_or_init(read).as_deref()
}

/// That the fault this run was asked for is one, so that a misspelt one is not taken for a fault
/// that was noticed.
///
/// # Errors
/// What to tell before the program ends.
#[cfg(feature = "mutants")]
pub fn check() -> Result<(), String> {
    match chosen() {
        Some(name) if Mutant::ALL.iter().all(|mutant| mutant.name() != name) => {
            Err(format!("unknown mutant {name}"))
        }
        Some(_) | None => Ok(()),
    }
}

/// Whether this run has the fault.
#[cfg(feature = "mutants")]
pub fn active(mutant: Mutant) -> bool {
    chosen().is_some_and(|chosen| chosen == mutant.name())
}

/// Whether this run has the fault: never.
#[cfg(not(feature = "mutants"))]
pub const fn active(_: Mutant) -> bool {
    false
}
