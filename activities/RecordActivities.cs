using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Activities;

namespace SnapshotFlow.Activities;

/// <summary>
/// The record-keeping steps. Each is one transaction that first passes, or closes, the run's door (see <see cref="RunStore"/>), so that it happens whole
/// or not at all, any number of times, and never after its undo.
/// </summary>
public sealed partial class RecordActivities(
    Database database,
    ServerStore servers,
    VolumeStore volumes,
    SnapshotStore snapshots,
    ImageStore images,
    QuotaStore quotas,
    InstanceActionStore actions,
    RunStore runs,
    NotificationStore notifications,
    TimeProvider time) : IRecordActivities
{
    private readonly ImagePreparation preparation = new(servers, volumes);

    /// <inheritdoc/>
    [Activity]
    public Task<PreparedImage> PrepareImageAsync(CreateImageInput input) => RecordAsync(async (session, now) =>
    {
        if (!await runs.OpenAsync(session, RunOf(input, now)))
        {
            throw new SnapshotFlowException(
                ErrorKind.StaleStatus, $"Image {input.Image} belongs to another run, or to one that has ended: ask again with another idempotency key.");
        }

        var prepared = await preparation.WorkOutAsync(session, input, await servers.LockVisibleAsync(session, input.Server, input.Caller));
        if (!await servers.TakeTaskStateAsync(session, input.Server, input.Image, now))
        {
            throw new InvalidOperationException($"server {input.Server} changed its task state while its record was locked");
        }

        return prepared;
    });

    /// <inheritdoc/>
    [Activity]
    public Task<PreparedImage> PlanImageAsync(CreateImageInput input) => RecordAsync(async (session, now) =>
    {
        var prepared = await preparation.WorkOutAsync(session, input, await servers.FindVisibleAsync(session, input.Server, input.Caller));
        var overruns = await quotas.OverrunsAsync(session, Quota.Of(prepared.Draft.Volumes), now);
        return overruns.Count == 0 ? prepared : throw Quota.Exceeded(overruns);
    });

    /// <inheritdoc/>
    [Activity]
    public Task<ServerLocation> LocateServerAsync(ServerId server) => ActivityErrors.Translate(async () =>
        await servers.FindAsync(server, ActivityExecutionContext.Current.CancellationToken) is { } found
            ? new ServerLocation(found.Host, found.AgentAddress)
            : throw new SnapshotFlowException(ErrorKind.NotFound, $"Instance {server} could not be found."));

    /// <inheritdoc/>
    [Activity]
    public Task ReleaseServerAsync(CreateImageInput input) => UndoAsync(
        input, (session, now) => servers.ReleaseTaskStateAsync(session, input.Server, input.Image, now));

    /// <inheritdoc/>
    [Activity]
    public Task CheckQuotaAsync(PreparedInput input) => StepAsync(input.Request, Step.CheckQuota, async (session, now) =>
    {
        var overruns = await quotas.ReserveAsync(session, input.Request.Image, Quota.Of(input.Prepared.Draft.Volumes), now);
        if (overruns.Count > 0)
        {
            throw Quota.Exceeded(overruns);
        }
    });

    /// <inheritdoc/>
    [Activity]
    public Task ReleaseQuotaAsync(CreateImageInput input) => UndoAsync(input, (session, _) => quotas.CloseAsync(session, input.Image));

    /// <inheritdoc/>
    [Activity]
    public Task CloseRunAsync(CloseRunInput input) => RecordAsync(async (session, now) =>
    {
        var (image, requestId) = (input.Request.Image, input.Request.RequestId);
        if (await runs.CloseAsync(session, image, requestId, input.Status, input.Reason, input.Evidence, input.Steps, input.Leftovers, now))
        {
            await actions.FinishAsync(session, input.Request.Server, requestId, input.Reason.Message, now);
        }

        return true;
    });

    private Task StepAsync(CreateImageInput input, Step step, Func<Session, DateTimeOffset, Task> work) => RecordAsync(async (session, now) =>
    {
        await PassDoorAsync(session, input, step);
        await work(session, now);
        return true;
    });

    private async Task PassDoorAsync(Session session, CreateImageInput input, Step step)
    {
        if (!await runs.AdvanceAsync(session, input.Image, input.RequestId, step))
        {
            throw new SnapshotFlowException(ErrorKind.StaleStatus, $"{step} came too late: the run for image {input.Image} has ended or is being undone.");
        }
    }

    private Task UndoAsync(CreateImageInput input, Func<Session, DateTimeOffset, Task> work) => RecordAsync(async (session, now) =>
    {
        if (await runs.BeginUndoAsync(session, RunOf(input, now)))
        {
            await work(session, now);
        }

        return true;
    });

    private Task<T> RecordAsync<T>(Func<Session, DateTimeOffset, Task<T>> work) => ActivityErrors.Translate(
        () => database.WriteAsync(session => work(session, time.GetUtcNow()), ActivityExecutionContext.Current.CancellationToken));

    private static RunRecord RunOf(CreateImageInput input, DateTimeOffset now) => new()
    {
        ImageId = input.Image,
        ServerId = input.Server,
        ProjectId = input.Caller.ProjectId,
        UserId = input.Caller.UserId,
        RequestId = input.RequestId,
        GlobalRequestId = input.GlobalRequestId,
        Name = input.Name,
        Status = RunStatus.Running,
        Step = Step.PrepareImage,
        Quiesce = input.Quiesce,
        StartedAt = now,
    };
}
