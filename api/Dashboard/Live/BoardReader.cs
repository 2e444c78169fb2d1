using SnapshotFlow.Api.Runs;
using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Api.Dashboard.Live;

/// <summary>Reads how things stand, once for all who look at the same.</summary>
internal sealed class BoardReader
{
    private const int MostRunning = 100;
    private const int MostAsked = 32;
    private const int MostRecent = 20;
    private const int MostOtherRunning = 50;
    private const int MostOtherRecent = 10;
    private const int MostQuotas = 30;
    private const int MostFindings = 50;

    private static readonly TimeSpan Day = TimeSpan.FromDays(1);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Moment = LiveStream.Interval * 0.8;

    private readonly RunStore records;
    private readonly ServerStore servers;
    private readonly ImageRuns runs;
    private readonly TimeProvider time;
    private readonly Remembered<string, Happenings> happenings;
    private readonly Remembered<SightOfOtherWork, IReadOnlyList<Work>> others;
    private readonly Remembered<string, IReadOnlyList<QuotaLevel>> quota;
    private readonly Remembered<bool, IReadOnlyList<FindingRecord>> findings;

    public BoardReader(RunStore records, ServerStore servers, WorkStore work, QuotaStore quotas, FindingStore found, ImageRuns runs, TimeProvider time)
    {
        this.records = records;
        this.servers = servers;
        this.runs = runs;
        this.time = time;
        happenings = new(Moment, Patience, time, HappeningsAsync);
        others = new(Moment, Patience, time, async (sight, ct) =>
        [
            .. sight.Operations ? await work.OperationsAsync(sight.Project, MostOtherRunning, MostOtherRecent, ct) : [],
            .. sight.Snapshots ? await work.SnapshotsAsync(sight.Project, MostOtherRunning, MostOtherRecent, ct) : [],
        ]);
        quota = new(TimeSpan.FromSeconds(10), Patience, time, async (project, ct) =>
            Fullest(project.Length == 0 ? await quotas.LevelsOfAllAsync(time.GetUtcNow(), ct) : await quotas.LevelsAsync(project, time.GetUtcNow(), ct)));
        findings = new(TimeSpan.FromSeconds(2), Patience, time, (_, ct) => found.ListAsync(new(Open: true), null, MostFindings, ct));
    }

    /// <summary>How things stand for somebody, as of a moment ago.</summary>
    public async Task<Board> ReadAsync(Sight sight, CancellationToken ct)
    {
        var whose = sight.Project ?? "";
        var now = await happenings.ReadAsync(whose, ct);
        return new(
            sight, now.At, now.Running, now.Recent, await others.ReadAsync(sight.Other, ct), now.Tallies,
            sight.Quota ? await quota.ReadAsync(whose, ct) : null,
            sight.Findings ? await findings.ReadAsync(true, ct) : null);
    }

    /// <summary>Runs with the names of their servers; those that go on say where they stand.</summary>
    public async Task<IReadOnlyList<RunNow>> NowAsync(IReadOnlyList<RunRecord> found, CancellationToken ct)
    {
        var names = await servers.NamesAsync([.. found.Select(r => r.ServerId).Distinct()], ct);
        var asked = 0;
        return await Task.WhenAll(found.Select(async r =>
            new RunNow(
                r,
                r.Status is RunStatus.Running && ++asked <= MostAsked ? await runs.ProgressAsync(r.ImageId, ct) : null,
                names.GetValueOrDefault(r.ServerId) ?? r.ServerId.ToString())));
    }

    private async Task<Happenings> HappeningsAsync(string whose, CancellationToken ct)
    {
        var project = whose.Length == 0 ? null : whose;
        var now = time.GetUtcNow();
        var running = await records.ListAsync(project, new(Ended: false), new(MostRunning), ct);
        var recent = await records.ListAsync(project, new(Ended: true), new(MostRecent), ct);
        return new(now, await NowAsync(running, ct), await NowAsync(recent, ct), await records.TallyAsync(project, now - Day, ct));
    }

    /// <summary>What is nearest to its limit comes first.</summary>
    private static IReadOnlyList<QuotaLevel> Fullest(IReadOnlyList<QuotaLevel> levels) =>
        [.. levels.OrderByDescending(l => l.Limit > 0 ? (double)(l.InUse + l.Reserved) / l.Limit : 0).Take(MostQuotas)];

    private sealed record Happenings(DateTimeOffset At, IReadOnlyList<RunNow> Running, IReadOnlyList<RunNow> Recent, RunTallies Tallies);
}
