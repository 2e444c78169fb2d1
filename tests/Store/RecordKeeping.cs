using System.Text.Json;
using SnapshotFlow.Activities;
using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Exceptions;
using Temporalio.Testing;

namespace SnapshotFlow.Tests.Store;

/// <summary>A registered server and the record-keeping steps upon it, as a workflow would call them.</summary>
internal sealed class RecordKeeping
{
    private readonly StoreDatabase db;
    private readonly RecordActivities steps;
    private readonly ActivityEnvironment environment = new();

    private RecordKeeping(StoreDatabase db, Server server, Volume[] volumes, CreateImageInput input)
    {
        this.db = db;
        (Server, Volumes, Input) = (server, volumes, input);
        steps = new RecordActivities(
            db.Database, db.Servers, db.Volumes, db.Snapshots, db.Images, db.Quotas, db.Actions, db.Runs, db.Notifications, new FixedTime());
    }

    public Server Server { get; }

    public Volume[] Volumes { get; }

    /// <summary>The request; a test may change it before its first step.</summary>
    public CreateImageInput Input { get; set; }

    public Caller Owner => Given.Member(Server.ProjectId);

    public static async Task<RecordKeeping> OnAsync(
        StoreDatabase db, Func<Server, Server>? server = null, Func<ServerRegistration, ServerRegistration>? registration = null, params Volume[] volumes)
    {
        var project = volumes.Length > 0 ? volumes[0].ProjectId : Given.Project();
        volumes = volumes.Length > 0 ? volumes : [Given.Volume(project, bootable: true), Given.Volume(project, 5), Given.Volume(project, 7, "fast")];
        var registered = (server ?? (s => s))(Given.Server(project));
        await db.Servers.RegisterAsync((registration ?? (r => r))(Given.Registration(registered, volumes)), Given.Now, CancellationToken.None);
        return new RecordKeeping(db, registered, volumes, new CreateImageInput(
            ImageId.New(), registered.Id, "snap-1", new Dictionary<string, string> { ["k"] = "v" }, Given.Member(project), "req-" + Guid.NewGuid()));
    }

    public Task<PreparedImage> PrepareAsync() => Run(() => steps.PrepareImageAsync(Input));

    public Task<PreparedImage> PlanAsync() => Run(() => steps.PlanImageAsync(Input));

    public Task CheckQuotaAsync(PreparedImage prepared) => Run(() => steps.CheckQuotaAsync(new PreparedInput(Input, prepared)));

    public Task ReserveAsync(PreparedImage prepared) => Run(() => steps.ReserveRecordsAsync(new PreparedInput(Input, prepared)));

    public Task CopyAsync(VolumeToCut volume) => Run(() => steps.CopyGlanceMetadataAsync(new VolumeSnapshotInput(volume.Volume, volume.Snapshot)));

    public Task CompleteAsync(PreparedImage prepared) => Run(() => steps.CompleteSnapshotsAsync(new PreparedInput(Input, prepared)));

    public Task RecordImageAsync(PreparedImage prepared, Evidence? evidence = null) => Run(() => steps.CreateImageRecordAsync(
        new CreateImageRecordInput(Input, prepared, evidence ?? Frozen(prepared), [new RunStep(Step.CreateImageRecord, null, null, Given.Now, null, null)])));

    public Task RemoveAsync(params SnapshotId[] leftBehind) => Run(() => steps.RemoveRecordsAsync(Input, leftBehind));

    public Task ReleaseQuotaAsync() => Run(() => steps.ReleaseQuotaAsync(Input));

    public Task ReleaseServerAsync() => Run(() => steps.ReleaseServerAsync(Input));

    public Task CloseAsync(RunStatus status, string why = "why", params Leftover[] leftovers) => Run(() => steps.CloseRunAsync(
        new CloseRunInput(Input, status, new Refusal(ErrorKind.BackendRefused, why), null, [], leftovers)));

    /// <summary>Everything a failed run undoes, in the workflow's order.</summary>
    public async Task UndoAsync(RunStatus status = RunStatus.Failed)
    {
        await RemoveAsync();
        await ReleaseQuotaAsync();
        await ReleaseServerAsync();
        await CloseAsync(status);
    }

    /// <summary>The steps of a run that succeeds, each as often as told.</summary>
    public async Task<PreparedImage> SucceedAsync(int times = 1)
    {
        PreparedImage prepared = null!;
        await Repeat(async () => prepared = await PrepareAsync());
        await Repeat(() => CheckQuotaAsync(prepared));
        await Repeat(() => ReserveAsync(prepared));
        foreach (var volume in prepared.Draft.Volumes.Where(v => v.Bootable))
        {
            await Repeat(() => CopyAsync(volume));
        }

        await Repeat(() => CompleteAsync(prepared));
        await Repeat(() => RecordImageAsync(prepared));
        return prepared;

        async Task Repeat(Func<Task> step)
        {
            for (var i = 0; i < times; i++)
            {
                await step();
            }
        }
    }

    /// <summary>Everything the records say about the server, its project and its images, to compare before with after.</summary>
    public async Task<string> PictureAsync()
    {
        var none = CancellationToken.None;
        var server = (await db.Servers.FindAsync(Server.Id, none))!;
        var project = Server.ProjectId;
        var snapshots = (await db.Snapshots.ListAsync(project, new SnapshotFilter(), new Page(100), none))
            .OrderBy(s => Array.FindIndex(Volumes, v => v.Id == s.VolumeId)).ToList();
        return JsonSerializer.Serialize(new
        {
            server.TaskState,
            server.TaskImage,
            Snapshots = snapshots,
            Glance = await Task.WhenAll(snapshots.Select(s => db.Snapshots.GlanceMetadataAsync(s.Id, none))),
            Images = await db.Images.ListAsync(Given.Admin(), new ImageFilter(Owner: Input.Caller.ProjectId), new Page(100), none),
            Levels = await db.Quotas.LevelsAsync(project, Given.Now, none),
            Run = await db.Runs.FindVisibleAsync(Input.Image, Given.Admin(), none),
            Action = await db.Actions.FindAsync(Server.Id, Input.RequestId, none),
            Told = await Task.WhenAll(Volumes.Select(v => db.Notifications.OfResourceAsync(DeterministicId.Snapshot(Input.Image, v.Id).ToString(), none))),
        });
    }

    /// <summary>What of the server and its project a run takes or holds: a run that is undone leaves this as it found it.</summary>
    public async Task<string> HoldingsAsync()
    {
        var none = CancellationToken.None;
        var server = (await db.Servers.FindAsync(Server.Id, none))!;
        return JsonSerializer.Serialize(new
        {
            server.TaskState,
            server.TaskImage,
            Snapshots = await db.Snapshots.ListAsync(Server.ProjectId, new SnapshotFilter(), new Page(100), none),
            Images = await db.Images.ListAsync(Given.Admin(), new ImageFilter(Owner: Input.Caller.ProjectId), new Page(100), none),
            Levels = (await db.Quotas.LevelsAsync(Server.ProjectId, Given.Now, none)).Where(l => l.InUse + l.Reserved > 0),
        });
    }

    public static Evidence Frozen(PreparedImage prepared) => new(
        Consistency.Application, null, Given.Now, Given.Now.AddMilliseconds(250), false,
        [.. prepared.Draft.Volumes.Select((v, i) => new VolumeCut(
            v.Volume, v.Snapshot, Given.Now, Given.Now.AddMilliseconds(10 * i), Given.Now.AddMilliseconds(20 * i), 1 << 30, true))]);

    /// <summary>Runs a step that must fail, and says as what and with which words.</summary>
    public static async Task<(ErrorKind Kind, string Message)> RefusedAsync(Func<Task> step)
    {
        var e = await Assert.ThrowsAsync<ApplicationFailureException>(step);
        var kind = Enum.Parse<ErrorKind>(e.ErrorType!);
        Assert.Equal(!kind.IsRetryable(), e.NonRetryable);
        return (kind, e.Message);
    }

    private Task<T> Run<T>(Func<Task<T>> step) => environment.RunAsync(step);

    private Task Run(Func<Task> step) => environment.RunAsync(step);

    private sealed class FixedTime : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => Given.Now;
    }
}
