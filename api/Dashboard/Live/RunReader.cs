using SnapshotFlow.Api.Runs;
using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Api.Dashboard.Live;

/// <summary>One run as its page shows it.</summary>
/// <param name="Run">The run.</param>
/// <param name="At">When it was read.</param>
/// <param name="Activities">How often each of its activities was tried; null when Temporal does not say.</param>
public sealed record RunDetail(RunNow Run, DateTimeOffset At, IReadOnlyList<ActivityAttempts>? Activities);

/// <summary>Reads one run, once for all who look at it. Whether somebody may see it has been decided before.</summary>
internal sealed class RunReader
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);
    private static readonly Caller Anybody = new("", "", ["admin"]);

    private readonly Remembered<ImageId, RunDetail> details;

    public RunReader(RunStore records, BoardReader board, RunAttempts attempts, TimeProvider time) =>
        details = new(LiveStream.Interval * 0.8, Patience, time, async (image, ct) =>
        {
            var record = await records.FindVisibleAsync(image, Anybody, ct) ?? throw Faults.Fault.NotFound($"Run {image} could not be found.");
            var run = (await board.NowAsync([record], ct))[0];
            return new(run, time.GetUtcNow(), await attempts.OfAsync(image, record.Status is RunStatus.Running, ct));
        });

    /// <summary>The run, as of a moment ago.</summary>
    public Task<RunDetail> ReadAsync(ImageId image, CancellationToken ct) => details.ReadAsync(image, ct);
}
