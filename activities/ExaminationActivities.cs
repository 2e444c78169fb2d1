using SnapshotFlow.Drivers;
using SnapshotFlow.Drivers.Leases;
using SnapshotFlow.Model;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Activities;

namespace SnapshotFlow.Activities;

/// <summary>Looks at the machine of a compute or volume worker.</summary>
public sealed class ExaminationActivities : IExaminationActivities
{
    private readonly Func<Task<PlaceFacts>> look;

    private ExaminationActivities(Func<Task<PlaceFacts>> look) => this.look = look;

    /// <summary>Of a compute host.</summary>
    public static ExaminationActivities OfHost(FreezeLeaseDirectory leases, IHostClock clock) => new(() =>
    {
        var doubt = GuardHeartbeat.Doubt(leases, clock);
        var said = doubt is null ? GuardHeartbeat.Read(leases) : null;
        return Task.FromResult(new PlaceFacts(clock.UtcNow, new(doubt, said?.Open ?? 0, said?.Overdue ?? 0, said?.Unreadable ?? 0), null, DiskOf(leases.Root)));
    });

    /// <summary>Of a back end.</summary>
    /// <param name="driver">It.</param>
    /// <param name="root">Directory of its volumes; null when it has none.</param>
    /// <param name="time">The machine's clock.</param>
    public static ExaminationActivities OfBackend(IVolumeDriver driver, string? root, TimeProvider time) => new(async () =>
    {
        string? problem = null;
        try
        {
            await driver.CheckAsync(ActivityExecutionContext.Current.CancellationToken);
        }
        catch (SnapshotFlowException e)
        {
            problem = e.Message;
        }

        return new(time.GetUtcNow(), null, problem, root is null ? null : DiskOf(root));
    });

    /// <inheritdoc/>
    [Activity]
    public Task<PlaceFacts> ExamineAsync() => look();

    private static DiskFacts? DiskOf(string path)
    {
        try
        {
            var drive = new DriveInfo(path);
            return new(path, drive.AvailableFreeSpace, drive.TotalSize);
        }
        // Whether there is a file system at all is the driver's to say.
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
