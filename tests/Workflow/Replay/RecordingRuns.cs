using SnapshotFlow.Model;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Exceptions;

namespace SnapshotFlow.Tests.Workflow.Replay;

/// <summary>Makes one run per branch of the process and writes its history to the directory that <c>SNAPSHOTFLOW_HISTORIES</c> names.</summary>
public sealed class RecordingRuns(CreateImageFixture fixture) : IClassFixture<CreateImageFixture>
{
    /// <summary>The branches: how the cloud is set up, what is asked for, and at which held activity the run is cancelled.</summary>
    public static readonly IReadOnlyDictionary<string, Branch> Branches = Describe();

    public static TheoryData<string> Names => [.. Branches.Keys];

    [Theory(Explicit = true)]
    [MemberData(nameof(Names))]
    public async Task Record(string name)
    {
        var directory = Environment.GetEnvironmentVariable("SNAPSHOTFLOW_HISTORIES") ?? throw new InvalidOperationException("set SNAPSHOTFLOW_HISTORIES to tests/Workflow/Replay/Histories");
        var branch = Branches[name];
        var cloud = fixture.Use(branch.Cloud());
        var held = Fault.HoldsDeaf();
        if (branch.CancelAt is { } activity)
        {
            cloud.Script(activity, held);
        }

        var run = await fixture.StartAsync(branch.Request(cloud));
        if (branch.CancelAt is not null)
        {
            await held.Reached;
            await run.CancelAsync();
            await Eventually.TrueAsync(async () => (await run.FetchHistoryAsync()).Events.Any(e => e.WorkflowExecutionCancelRequestedEventAttributes is not null));
            held.Release();
        }

        try
        {
            await run.GetResultAsync();
        }
        catch (WorkflowFailedException)
        {
            // Failing is what some branches are about.
        }

        await File.WriteAllTextAsync(Path.Combine(directory, $"{name}.json"), (await run.FetchHistoryAsync()).ToJson(), TestContext.Current.CancellationToken);
    }

    private static SortedDictionary<string, Branch> Describe()
    {
        var branches = new SortedDictionary<string, Branch>(StringComparer.Ordinal)
        {
            ["completed"] = new(() => new FakeCloud()),
            ["completed-one-volume"] = new(() => Volumes(1)),
            ["completed-16-volumes"] = new(() => Volumes(16)),
            ["completed-no-volume"] = new(() => Volumes(0)),
            ["completed-offline"] = new(() => new FakeCloud { Running = false }),
            ["completed-skip"] = new(() => new FakeCloud(), QuiesceMode.Skip),
            ["completed-crash-agent-silent"] = new(() => new FakeCloud { Guest = new(false, "no answer") }),
            ["completed-crash-no-agent"] = new(() => new FakeCloud { AgentAddress = null }),
            ["completed-crash-freeze-failed"] = new(() => Scripted("Quiesce", Fault.DoneButFails(), Fault.DoneButFails())),
            ["completed-retried-cut"] = new(() => Scripted("CreateVolumeSnapshot", Fault.Fails(ErrorKind.BackendUnavailable))),
            ["compensation-failed"] = new(() =>
            {
                var cloud = Scripted("CompleteSnapshots", Fault.Fails());
                cloud.Script("DeleteVolumeSnapshot", Fault.Fails());
                return cloud;
            }),
            ["completed-group"] = new(() => new FakeCloud { GroupCut = GroupCut.Always }),
            ["completed-group-unless-frozen"] = new(() => new FakeCloud { GroupCut = GroupCut.UnlessFrozen, Guest = new(false, "no answer") }),
            ["failed-group"] = new(() =>
            {
                var cloud = new FakeCloud { GroupCut = GroupCut.Always };
                cloud.Script("CreateGroupSnapshot", Fault.DoneButFails());
                return cloud;
            }),
            ["refused-required-agent-silent"] = new(() => new FakeCloud { Guest = new(false, "no answer"), RequireQuiesce = true }),
            ["refused-quota"] = new(() => Scripted("CheckQuota", Fault.Fails(ErrorKind.QuotaExceeded))),
            ["refused-not-found"] = new(() => Scripted("PrepareImage", Fault.Fails(ErrorKind.NotFound))),
        };
        foreach (var activity in (string[])["ReserveRecords", "CreateVolumeSnapshot", "CopyGlanceMetadata", "CompleteSnapshots", "CreateImageRecord"])
        {
            branches[$"failed-{activity}"] = new(() => Scripted(activity, Fault.Fails()));
        }

        foreach (var activity in (string[])["PrepareImage", "CheckQuota", "ReserveRecords", "ProbeGuest", "Quiesce", "CreateVolumeSnapshot", "Unquiesce", "CopyGlanceMetadata", "CompleteSnapshots"])
        {
            branches[$"cancelled-{activity}"] = new(() => new FakeCloud(), CancelAt: activity);
        }

        return branches;
    }

    private static FakeCloud Scripted(string activity, params Fault[] faults)
    {
        var cloud = new FakeCloud();
        cloud.Script(activity, faults);
        return cloud;
    }

    private static FakeCloud Volumes(int count)
    {
        var cloud = new FakeCloud();
        cloud.Volumes.Clear();
        cloud.Volumes.AddRange(Enumerable.Range(0, count).Select(_ => VolumeId.New()));
        return cloud;
    }

    /// <summary>One branch of the process.</summary>
    public sealed record Branch(Func<FakeCloud> Cloud, QuiesceMode Quiesce = QuiesceMode.Try, string? CancelAt = null)
    {
        public CreateImageInput Request(FakeCloud cloud) => cloud.Request(Quiesce);
    }
}
