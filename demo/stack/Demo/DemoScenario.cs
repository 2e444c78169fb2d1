using System.Net;
using SnapshotFlow.Drivers.Layers;
using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Stack.Demo;

/// <summary>
/// The demo itself, on a stack that runs: five things are done to one running server, and after each it is checked what is really there, in the API, in the
/// back end's directory, in the database, and in the guest.
/// </summary>
internal sealed class DemoScenario(DevelopmentStack stack, GuestServer server, TenantClient tenant, DemoConsole console)
{
    /// <summary>Far longer than any run takes: passing it means that the run hangs, not that the machine is busy.</summary>
    private static readonly TimeSpan RunDeadline = TimeSpan.FromMinutes(2);

    /// <summary>How long each cut is held back while the worker is killed: longer than the kill takes, shorter than the freeze may last.</summary>
    private static readonly TimeSpan CutDelay = TimeSpan.FromSeconds(1.5);

    /// <summary>How much later one volume is cut in the contrast: ordinary for two storage systems of different load.</summary>
    private static readonly TimeSpan Lateness = TimeSpan.FromMilliseconds(100);

    private readonly Witness witness = new(stack);

    public async Task<DemoReport> RunAsync(CancellationToken ct)
    {
        // Every run leaves its three snapshots: the default of ten would end the demo, not a failure.
        await new QuotaStore(stack.Database).SetLimitAsync(Tokens.TenantProject, Quota.Snapshots, 100, ct);

        var (image, run, verdict) = await FreezeAsync(ct);
        await ContrastAsync(ct);
        var crash = await CrashAsync(ct);
        var compensation = await FailAsync(ct);
        return new DemoReport(
            image,
            run.Evidence?.Consistency ?? "unknown",
            run.Evidence?.FreezeMs ?? 0,
            run.Evidence?.CutSkewMs ?? 0,
            new WitnessReport(verdict.Consistent, verdict.Sequences.Count),
            crash,
            compensation);
    }

    /// <summary>An image as any OpenStack client asks for it, and what the volumes made from it say.</summary>
    private async Task<(ImageReport, RunView, WitnessVerdict)> FreezeAsync(CancellationToken ct)
    {
        console.Chapter("1  An image of a running server: createImage over HTTP");
        var image = await tenant.CreateImageAsync(server.Id, "nightly", ct);
        console.Say($"202 Accepted, image {image}");
        var run = await FollowAsync(image, ct);
        var status = await tenant.ImageStatusAsync(image, ct);
        console.Check(status == "active", $"image is {status ?? "gone"}");
        console.Check(run.Evidence is { Consistency: "application" }, $"consistency {run.Evidence?.Consistency}{(run.Evidence?.Reason is { } why ? $": {why}" : "")}");
        var cuts = run.Evidence?.Cuts ?? [];
        console.Check(cuts.Count == server.Volumes.Count, $"{cuts.Count} volumes, frozen for {DemoConsole.Milliseconds(run.Evidence?.FreezeMs ?? 0)}, {DemoConsole.Milliseconds(run.Evidence?.CutSkewMs ?? 0)} between first and last cut");

        console.Chapter("2  New volumes from the three snapshots: what the guest wrote on them");
        var verdict = await witness.RestoreAsync(run, server.Volumes, ct);
        console.Check(verdict.Consistent, $"numbers on the restored volumes: {verdict}");
        return (new ImageReport(image, status ?? "gone", cuts.Count), run, verdict);
    }

    /// <summary>The same without a freeze. What the witness says of it is shown, not judged: with quick cuts one is often lucky.</summary>
    private async Task ContrastAsync(CancellationToken ct)
    {
        console.Chapter("3  The contrast: the same server, the same load, no freeze");
        await CutAsync("unfrozen", "skip", ct);

        console.Say($"and when the back end of one volume answers {Lateness.TotalMilliseconds:0} ms later than the others (injected):");
        await stack.InjectAsync(ct, new FaultRule { Operation = VolumeOperation.CreateSnapshot, Volume = server.Volumes[1], Fault = VolumeFault.Delay, Delay = Lateness });
        await CutAsync("unfrozen, one late", "skip", ct);
        var frozen = await CutAsync("frozen, one late", "require", ct);
        await stack.InjectAsync(ct);
        console.Check(frozen.Consistent, "with the freeze a late volume makes no difference");
    }

    private async Task<WitnessVerdict> CutAsync(string name, string quiesce, CancellationToken ct)
    {
        var answer = (await tenant.PostAsync("/runs", new { server_id = server.Id.ToString(), name, quiesce }, ct)).Expect(HttpStatusCode.Accepted);
        var run = await tenant.WaitForEndAsync(answer.Body.GetProperty("image_id").GetString()!, RunDeadline, ct);
        var verdict = await witness.RestoreAsync(run, server.Volumes, ct);
        var claimed = run.Evidence is { Consistency: "application" };
        console.Check(claimed == (quiesce == "require"), $"{name}: the image claims consistency '{run.Evidence?.Consistency}'");
        console.Say($"  numbers on the restored volumes: {verdict}");
        return verdict;
    }

    /// <summary>The worker that drives the run dies while the guest stands still.</summary>
    private async Task<CrashResumeReport> CrashAsync(CancellationToken ct)
    {
        console.Chapter("4  SIGKILL for the control worker between freeze and thaw");
        var apiBefore = await ApiSnapshotsAsync(ct);
        var backEndBefore = await stack.Storage.SnapshotsAsync(ct);
        await stack.InjectAsync(ct, new FaultRule { Operation = VolumeOperation.CreateSnapshot, Fault = VolumeFault.Delay, Delay = CutDelay });
        var image = await tenant.CreateImageAsync(server.Id, "survivor", ct);
        await tenant.WaitForRunAsync(image, "frozen", run => run.Did("Quiesce") && !run.Began("Unquiesce"), RunDeadline, ct);
        var killed = stack.Worker(WorkerRole.Control);
        await stack.KillWorkerAsync(WorkerRole.Control, ct);
        var frozen = await server.IsFrozenAsync(ct);
        console.Check(frozen, $"process {killed.Id} (control worker) killed while the guest was frozen");
        await stack.StartWorkerAsync(WorkerRole.Control, ct);
        console.Say($"started again as process {stack.Worker(WorkerRole.Control).Id}");
        var run = await FollowAsync(image, ct);
        await stack.InjectAsync(ct);

        var status = await tenant.ImageStatusAsync(image, ct);
        console.Check(status == "active", $"image is {status ?? "gone"}, consistency {run.Evidence?.Consistency}, frozen for {DemoConsole.Milliseconds(run.Evidence?.FreezeMs ?? 0)}");
        console.Check(!await server.AgentSaysFrozenAsync(ct), "the guest is thawed");
        var inApi = (await ApiSnapshotsAsync(ct)).Except(apiBefore).Select(s => s.Volume);
        var inBackEnd = (await stack.Storage.SnapshotsAsync(ct)).Except(backEndBefore).Select(s => s.Volume.ToString());
        var duplicates = Duplicates(inApi) + Duplicates(inBackEnd);
        console.Check(duplicates == 0, $"{duplicates} snapshots twice, in the API and in the back end");
        var verdict = await witness.RestoreAsync(run, server.Volumes, ct);
        console.Check(verdict.Consistent, $"numbers on the restored volumes: {verdict}");
        return new CrashResumeReport("control-worker", status ?? "gone", duplicates, verdict.Consistent);
    }

    /// <summary>One volume cannot be cut: nothing of the run may remain.</summary>
    private async Task<CompensationReport> FailAsync(CancellationToken ct)
    {
        console.Chapter("5  The second volume fails for good");
        var apiBefore = await ApiSnapshotsAsync(ct);
        var filesBefore = stack.Storage.SnapshotFiles();
        var quotaBefore = await QuotaInUseAsync(ct);
        await stack.InjectAsync(ct, new FaultRule
        {
            Operation = VolumeOperation.CreateSnapshot, Volume = server.Volumes[1], Fault = VolumeFault.Fail, Kind = ErrorKind.BackendRefused, Message = "the pool is read-only",
        });
        var image = await tenant.CreateImageAsync(server.Id, "doomed", ct);
        var run = await FollowAsync(image, ct);
        await stack.InjectAsync(ct);

        console.Check(run.Status == "failed" && run.Reason is not null, $"run {run.Status}: {run.Reason?.Message}");
        var frozen = await server.AgentSaysFrozenAsync(ct);
        console.Check(!frozen, "the guest is thawed");
        var leftFiles = stack.Storage.SnapshotFiles().Except(filesBefore).Count();
        var leftRows = (await ApiSnapshotsAsync(ct)).Except(apiBefore).Count();
        console.Check(leftFiles + leftRows == 0, $"{leftFiles} files left in the back end, {leftRows} snapshots left in the API");
        var imageStatus = await tenant.ImageStatusAsync(image, ct);
        console.Check(imageStatus is null, $"the image is {imageStatus ?? "gone"}");
        var leaked = (await QuotaInUseAsync(ct)).Sum(now => Math.Abs(now.Value - quotaBefore.GetValueOrDefault(now.Key)));
        console.Check(leaked == 0, $"quota usage is what it was: {string.Join(", ", quotaBefore.Select(q => $"{q.Value} {q.Key}"))}");
        return new CompensationReport(Math.Max(leftRows, leftFiles), imageStatus is null ? 0 : 1, leaked, frozen);
    }

    /// <summary>Prints every step of a run as it ends, and returns the run when it is over.</summary>
    private Task<RunView> FollowAsync(string image, CancellationToken ct)
    {
        HashSet<(string, string?, DateTimeOffset)> shown = [];
        return tenant.WaitForEndAsync(image, RunDeadline, ct, run =>
        {
            foreach (var step in run.Steps.Where(s => s.EndedAt is not null && shown.Add((s.Step, s.VolumeId, s.StartedAt))))
            {
                console.Step(step.Error is null, step.Step, step.Error ?? step.Detail ?? "", step.DurationMs);
            }
        });
    }

    private Task<IReadOnlyList<(string Id, string Volume, string Status)>> ApiSnapshotsAsync(CancellationToken ct) => tenant.ListSnapshotsAsync(Tokens.TenantProject, ct);

    private async Task<IReadOnlyDictionary<string, long>> QuotaInUseAsync(CancellationToken ct) =>
        (await new QuotaStore(stack.Database).LevelsAsync(Tokens.TenantProject, TimeProvider.System.GetUtcNow(), ct))
            .ToDictionary(level => level.Resource, level => level.InUse + level.Reserved);

    private static int Duplicates(IEnumerable<string> volumes) => volumes.GroupBy(v => v).Sum(g => g.Count() - 1);
}
