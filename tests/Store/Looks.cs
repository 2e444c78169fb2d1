using SnapshotFlow.Activities;
using SnapshotFlow.Model;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Testing;

namespace SnapshotFlow.Tests.Store;

/// <summary>Looks at the records as the workflow does, at times that the test sets and with the runs alive that it names.</summary>
internal sealed class Looks(StoreDatabase db) : IRunDirectory
{
    public static readonly TimeSpan Interval = TimeSpan.FromMinutes(1);

    /// <summary>Workflow ids of runs that live; all others were terminated when <see cref="Given.Now"/> was.</summary>
    public HashSet<string> Live { get; } = [];

    public Clock Time { get; } = new();

    public ReconcileActivities Steps => new(db.Database, db.Reconciliation, db.Findings, db.Runs, this, Time);

    public OperationRepairActivities Repairs =>
        new(db.Database, db.Reconciliation, db.Operations, db.Images, db.Snapshots, db.Volumes, db.Messages, this, Time);

    Task<WorkFact> IRunDirectory.FindAsync(string workflow, CancellationToken cancellationToken) =>
        Task.FromResult(Live.Contains(workflow) ? new WorkFact(true, "running", Time.Now) : new WorkFact(false, "terminated", Given.Now));

    /// <summary>One look, without the back ends and hosts.</summary>
    public async Task<ReconciliationDecision> LookAsync()
    {
        var read = await Run(Steps.ReadRecordsAsync);
        List<ImageId> named =
        [
            .. read.Images.Concat(read.Snapshots.Select(s => s.Image).OfType<ImageId>()).Concat(read.Reservations.Select(r => r.Image))
                .Concat(read.TaskStates.Select(t => t.Image).OfType<ImageId>()).Concat(read.Operations.Select(o => o.Image)).Distinct(),
        ];
        var found = await Run(() => Steps.LookUpRunsAsync(named));
        return await Run(() => Steps.DecideRepairsAsync(new(
            new()
            {
                Runs = found.Runs,
                Images = found.Images,
                Snapshots = read.Snapshots,
                Reservations = read.Reservations,
                TaskStates = read.TaskStates,
                Operations = read.Operations,
                Volumes = read.Volumes,
            },
            Interval)));
    }

    public static Task<T> Run<T>(Func<Task<T>> step) => new ActivityEnvironment().RunAsync(step);

    public static Task Run(Func<Task> step) => new ActivityEnvironment().RunAsync(step);

    internal sealed class Clock : TimeProvider
    {
        public DateTimeOffset Now { get; set; } = Given.Now;

        public override DateTimeOffset GetUtcNow() => Now;
    }
}
