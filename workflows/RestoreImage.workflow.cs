using SnapshotFlow.Model;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Exceptions;
using Temporalio.Workflows;

namespace SnapshotFlow.Workflows;

/// <summary>
/// Makes a set of new volumes from an image, one from each of its snapshots.
/// <list type="bullet">
/// <item>A request that can be refused is refused before anything is made, and the update <c>Accept</c> says so.</item>
/// <item>Either every volume is <c>available</c>, or nothing of the restore remains; what could not be removed is listed in the operation's row.</item>
/// </list>
/// The workflow id is <see cref="Names.RestoreImageWorkflow"/>.
/// </summary>
[Workflow("RestoreImage")]
public sealed class RestoreImageWorkflow
{
    private readonly RestoreImageInput request;
    private readonly Compensation undo = new();
    private readonly CancellationTokenSource making = new();
    private readonly List<Task<MadeVolume>> volumes = [];

    private RestoreAcceptance? acceptance;
    private PreparedRestore? prepared;

    /// <summary>Reads the request before the first handler can run.</summary>
    [WorkflowInit]
    public RestoreImageWorkflow(RestoreImageInput request) => this.request = request;

    /// <summary>The process.</summary>
    [WorkflowRun]
    public async Task<RunEnd> RunAsync(RestoreImageInput request)
    {
        try
        {
            await PrepareAsync();
            acceptance = new(request.Operation, prepared!.Restored, null);
            await MakeVolumesAsync();
            await Workflow.ExecuteActivityAsync(
                (IImageActivities a) => a.CompleteRestoreAsync(new(request, volumes.Select(v => v.Result).ToList())), Steps.Recording());
        }
        // Not only failures that were meant: a bug in this file must not leave half a set of volumes either.
        catch (Exception e)
        {
            return await UndoAsync(e);
        }

        await Workflow.WaitConditionAsync(() => Workflow.AllHandlersFinished, CancellationToken.None);
        return new(RunStatus.Completed);
    }

    /// <summary>Returns once the request is accepted, or refused with nothing left behind. The API waits for it before it answers.</summary>
    [WorkflowUpdate("Accept")]
    public async Task<RestoreAcceptance> AcceptAsync()
    {
        await Workflow.WaitConditionAsync(() => acceptance is not null, CancellationToken.None);
        return acceptance!;
    }

    private async Task PrepareAsync()
    {
        undo.Push("UndoRestore", request.Operation.ToString(), () =>
        {
            var made = prepared?.Volumes.Select(v => v.Volume).ToList() ?? [];
            var left = made.Where(v => undo.Leftovers.Any(l => l.Subject == Names.Volume(v))).ToList();
            return Workflow.ExecuteActivityAsync((IImageActivities a) => a.UndoRestoreAsync(new(request, made, left)), Steps.Ending());
        });
        prepared = await Workflow.ExecuteActivityAsync((IImageActivities a) => a.PrepareRestoreAsync(request), Steps.Recording(Steps.WhileCallerWaits));
    }

    private async Task MakeVolumesAsync()
    {
        volumes.AddRange(prepared!.Volumes.Select(MakeAsync));
        var cancelled = Workflow.WaitConditionAsync(() => false);
        var pending = new List<Task>(volumes);
        while (pending.Count > 0)
        {
            var next = await Workflow.WhenAnyAsync([.. pending, cancelled]);
            await next;
            pending.Remove(next);
        }
    }

    private Task<MadeVolume> MakeAsync(VolumeToMake volume)
    {
        undo.Push("DeleteVolume", Names.Volume(volume.Volume), async () =>
        {
            if (await Steps.DeleteVolumeAsync(volume.Volume, volume.Backend) is { } failure)
            {
                throw failure.Failure();
            }
        });
        return Workflow.ExecuteActivityAsync(
            (IVolumeCloneActivities a) => a.CreateVolumeFromSnapshotAsync(volume),
            Steps.Driving(volume.Backend, $"make {Names.Volume(volume.Volume)} {volume.SizeGib} GiB from {Names.Snapshot(volume.Snapshot)} on {volume.Backend}", making.Token));
    }

    private async Task<RunEnd> UndoAsync(Exception failure)
    {
        var reason = Failures.Describe(failure);
        making.Cancel();
        await SettleAsync();
        await undo.RunAllAsync();
        var status = undo.Leftovers.Count switch
        {
            > 0 => RunStatus.CompensationFailed,
            _ when Workflow.CancellationToken.IsCancellationRequested => RunStatus.Cancelled,
            _ when acceptance is null && reason.Kind.IsRefusal() => RunStatus.Refused,
            _ => RunStatus.Failed,
        };
        await Workflow.ExecuteActivityAsync((IImageActivities a) => a.CloseRestoreAsync(new(request, status, reason, undo.Leftovers)), Steps.Ending());
        acceptance ??= new(request.Operation, [], reason);
        await Workflow.WaitConditionAsync(() => Workflow.AllHandlersFinished, CancellationToken.None);
        return status switch
        {
            RunStatus.Refused => new(status, reason),
            RunStatus.Cancelled => throw new OperationCanceledException(reason.Message, failure, Workflow.CancellationToken),
            RunStatus.CompensationFailed => throw new Refusal(
                ErrorKind.CompensationFailed,
                $"{reason.Message}; left behind: {string.Join(", ", undo.Leftovers.Select(l => $"{l.Subject} ({l.Error})"))}").Failure(failure),
            _ => throw reason.Failure(failure),
        };
    }

    /// <summary>Waits until no volume can come late: a delete must not overtake its create.</summary>
    private async Task SettleAsync()
    {
        foreach (var volume in volumes)
        {
            try
            {
                await volume;
            }
            catch (FailureException)
            {
                // The first failure is the run's reason; each volume's undo is on the stack.
            }
        }
    }
}
