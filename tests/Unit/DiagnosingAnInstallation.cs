using Microsoft.Extensions.Configuration;
using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Workers.Doctor;
using SnapshotFlow.Workflows;
using SnapshotFlow.Workflows.Contracts;
using IndexedValueType = Temporalio.Api.Enums.V1.IndexedValueType;

namespace SnapshotFlow.Tests.Unit;

/// <summary>Each fault that the doctor knows is found, is as bad as it says in docs/production.md, and comes with what to do.</summary>
public sealed class DiagnosingAnInstallation
{
    private const string Host = "compute.node-1";
    private const string Backend = "volume.node-1@file";
    private static readonly DateTimeOffset Now = new(2026, 11, 23, 7, 0, 0, TimeSpan.Zero);
    private static readonly Standing Well = new(0, 0, 0, 0, null, null, new Dictionary<FindingKind, long>(), []);

    [Fact]
    public void Each_key_with_which_a_worker_would_not_start_is_an_error_of_its_own()
    {
        var found = Configured(("Workers:Roles", "compute,volume"));

        Assert.All(found, f => Is(f, "configuration", Severity.Error, "correct the key"));
        Assert.Contains(found, f => f.Found.Contains("Compute:Host", StringComparison.Ordinal));
        Assert.Contains(found, f => f.Found.Contains("Volume:Backends", StringComparison.Ordinal));
        Assert.Empty(Configured());
    }

    [Fact]
    public void An_old_database_server_and_one_with_few_connections_left_are_warnings()
    {
        Is(Judgement.Server("db", new(13, 9)), "database", Severity.Warning, "upgrade to 14");
        IsWell(Judgement.Server("db", new(14, 0)));
        Is(Judgement.Connections("db", 80, 100), "database", Severity.Warning, "max_connections");
        IsWell(Judgement.Connections("db", 79, 100));
    }

    [Fact]
    public void A_namespace_that_forgets_within_a_day_is_a_warning()
    {
        Is(Judgement.Retention("ns", TimeSpan.FromHours(23)), "namespace", Severity.Warning, "raise the retention");
        IsWell(Judgement.Retention("ns", TimeSpan.FromDays(1)));
    }

    [Fact]
    public void Search_attributes_that_are_missing_or_of_another_type_are_errors_that_name_them()
    {
        var all = SearchAttributes.All.ToDictionary(a => a.Name, _ => IndexedValueType.Keyword);
        IsWell(Judgement.Attributes("ns", all));

        var without = all.Where(a => a.Key != "Step").ToDictionary();
        Is(Judgement.Attributes("ns", without), "search attributes", Severity.Error, "setup");
        Assert.StartsWith("Step missing", Judgement.Attributes("ns", without).Found, StringComparison.Ordinal);

        all["Result"] = IndexedValueType.Text;
        Is(Judgement.Attributes("ns", all), "search attributes", Severity.Error, "a namespace of our own");
        Assert.StartsWith("Result (Text)", Judgement.Attributes("ns", all).Found, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("snapshotflow", "control worker")]
    [InlineData(Host, "compute worker of that host")]
    [InlineData(Backend, "volume worker of that back end")]
    public void A_queue_that_nobody_asks_is_an_error_and_one_that_grows_a_warning_for_the_role_that_serves_it(string queue, string role)
    {
        Is(Judgement.Pollers(queue, workflows: false, alive: 0, waiting: 0), "pollers", Severity.Error, $"start the {role}");
        Is(Judgement.Pollers(queue, workflows: false, alive: 2, waiting: 101), "pollers", Severity.Warning, $"start more of the {role}");
        IsWell(Judgement.Pollers(queue, workflows: true, alive: 1, waiting: 100));
    }

    [Fact]
    public void A_worker_that_polls_and_does_not_answer_is_an_error() =>
        Is(Assert.Single(Judgement.Place(new(Host, null, Now, Now, "timed out"))), "pollers", Severity.Error, "see what the compute worker");

    [Fact]
    public void A_host_without_a_guard_or_with_an_overdue_guest_is_an_error_and_a_file_that_is_no_lease_a_warning()
    {
        Is(Guard(new("no sign of life for 12 s", 0, 0, 0)), "guards", Severity.Error, "start snapshotflow-guard");
        Is(Guard(new(null, 1, 1, 0)), "guards", Severity.Error, "Guest frozen");
        Is(Guard(new(null, 0, 0, 2)), "guards", Severity.Warning, "Lease that cannot be read");
        IsWell(Guard(new(null, 3, 0, 0)));

        static Diagnosis Guard(GuardFacts facts) => Assert.Single(Judgement.Place(new(Host, new(Now, facts, null, null), Now, Now, null)), f => f.Check == "guards");
    }

    [Fact]
    public void A_back_end_that_cannot_be_used_a_clock_that_is_off_and_a_full_disk_are_found_where_they_are()
    {
        var found = Judgement.Place(new(Backend, new(Now.AddMinutes(2), null, "pool 'images' does not exist", new("/srv", 1, 1L << 40)), Now, Now, null)).ToList();

        Assert.All(found, f => Assert.Equal(Backend, f.Subject));
        Is(Assert.Single(found, f => f.Check == "drivers"), "drivers", Severity.Error, "Volume__Backends");
        Is(Assert.Single(found, f => f.Check == "clocks"), "clocks", Severity.Error, "chrony");
        Is(Assert.Single(found, f => f.Check == "disk"), "disk", Severity.Error, "make space");
        Assert.All(Judgement.Place(new(Backend, new(Now, null, null, null), Now, Now, null)), IsWell);
    }

    [Fact]
    public void A_reconciler_without_a_schedule_is_an_error_and_a_paused_one_a_warning_with_the_reason()
    {
        Is(Judgement.Schedule(isThere: false, null), "schedule", Severity.Error, "control worker");
        Is(Judgement.Schedule(isThere: true, "until the pool is back"), "schedule", Severity.Warning, "--unpause");
        Assert.Contains("until the pool is back", Judgement.Schedule(isThere: true, "until the pool is back").Found, StringComparison.Ordinal);
        IsWell(Judgement.Schedule(isThere: true, null));
    }

    [Fact]
    public void Leftovers_findings_late_notifications_and_an_empty_inventory_are_warnings()
    {
        Assert.All(Judgement.Records(Well, Now), IsWell);
        Is(Odd(Well with { WithLeftovers = 1 }), "records", Severity.Warning, "compensation_failed");
        Is(Odd(Well with { Findings = new Dictionary<FindingKind, long> { [FindingKind.FrozenGuest] = 1 } }), "records", Severity.Warning, "/admin/findings");
        Is(Odd(Well with { Undelivered = 1, OldestUndeliveredAt = Now.AddMinutes(-5) }), "records", Severity.Warning, "Notifications__WebhookUrl");
        Assert.All(Judgement.Records(Well with { Undelivered = 1, OldestUndeliveredAt = Now.AddMinutes(-4) }, Now), IsWell);
        Is(Judgement.Places(0), "records", Severity.Warning, "import");
        IsWell(Judgement.Places(1));

        static Diagnosis Odd(Standing levels) => Assert.Single(Judgement.Records(levels, Now), f => f.Severity is not Severity.Ok);
    }

    private static List<Diagnosis> Configured(params (string Key, string Value)[] keys) =>
        [.. DoctorCommand.Configuration(new ConfigurationBuilder().AddInMemoryCollection(keys.Select(k => KeyValuePair.Create(k.Key, (string?)k.Value))).Build(), development: false)];

    private static void Is(Diagnosis found, string check, Severity severity, string advice)
    {
        Assert.Equal((check, severity), (found.Check, found.Severity));
        Assert.Contains(advice, found.Advice, StringComparison.Ordinal);
    }

    private static void IsWell(Diagnosis found) => Assert.Equal((Severity.Ok, null), (found.Severity, found.Advice));
}
