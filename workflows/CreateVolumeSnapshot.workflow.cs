using SnapshotFlow.Model;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Exceptions;
using Temporalio.Workflows;

namespace SnapshotFlow.Workflows;

/// <summary>
/// Makes a snapshot of one volume on its own: what Block Storage does behind <c>POST snapshots</c>.
/// <list type="bullet">
/// <item>A request that can be refused is refused before anything is written, and the update <c>Accept</c> says so.</item>
/// <item>A snapshot that cannot be made is left as <c>error</c>, with nothing in the back end if that can be helped; it holds its quota until it is deleted.</item>
/// <item>A run that is cancelled leaves nothing.</item>
/// </list>
/// The workflow id is <see cref="Names.CreateSnapshotWorkflow"/>. Nobody freezes a guest here: the snapshot of an attached volume is what a power cut would leave.
/// </summary>
[Workflow("CreateVolumeSnapshot")]
public sealed class CreateVolumeSnapshotWorkflow
{
    private readonly CreateVolumeSnapshotInput request;

    private SnapshotAcceptance? acceptance;
    private AdmittedSnapshot? admitted;
    private UserMessageKind trouble = UserMessageKind.SnapshotCreateFailed;

    /// <summary>Reads the request before the first handler can run.</summary>
    [WorkflowInit]
    public CreateVolumeSnapshotWorkflow(CreateVolumeSnapshotInput request) => this.request = request;

    private VolumeSnapshotInput Cut => new(request.Volume, request.Snapshot);

    /// <summary>The process.</summary>
    [WorkflowRun]
    public async Task<RunEnd> RunAsync(CreateVolumeSnapshotInput request)
    {
        try
        {
            admitted = await Workflow.ExecuteActivityAsync((ISnapshotActivities a) => a.AdmitSnapshotAsync(request), Steps.Recording(Steps.WhileCallerWaits));
            acceptance = new(admitted.Snapshot, null);

            await Workflow.ExecuteActivityAsync(
                (IVolumeActivities a) => a.CreateVolumeSnapshotAsync(Cut), Steps.Driving(admitted.Backend, $"cut {request.Volume} on {admitted.Backend}"));
            await CopyGlanceMetadataAsync();
            await Workflow.ExecuteActivityAsync((ISnapshotActivities a) => a.CompleteSnapshotAsync(request), Steps.Recording());
            return await EndAsync(new(RunStatus.Completed));
        }
        // Not only failures that were meant: a bug in this file must not leave a row behind that creates for ever.
        catch (Exception e)
        {
            return await GiveUpAsync(e);
        }
    }

    /// <summary>Returns once the request is accepted, or refused with nothing left behind. The API waits for it before it answers.</summary>
    [WorkflowUpdate("Accept")]
    public async Task<SnapshotAcceptance> AcceptAsync()
    {
        await Workflow.WaitConditionAsync(() => acceptance is not null, CancellationToken.None);
        return acceptance!;
    }

    private async Task CopyGlanceMetadataAsync()
    {
        if (!admitted!.Bootable)
        {
            return;
        }

        trouble = UserMessageKind.SnapshotMetadataFailed;
        await Workflow.ExecuteActivityAsync((IRecordActivities a) => a.CopyGlanceMetadataAsync(Cut), Steps.Recording());
        trouble = UserMessageKind.SnapshotCreateFailed;
    }

    private async Task<RunEnd> GiveUpAsync(Exception failure)
    {
        var reason = Failures.Describe(failure);
        var cancelled = Workflow.CancellationToken.IsCancellationRequested;
        // Nothing was cut before the row was there.
        var remnant = admitted is null ? null : (await Steps.DeleteSnapshotAsync(new(admitted.Backend, request.Volume, request.Snapshot))).Failure;
        if (admitted is null || (cancelled && remnant is null))
        {
            await Workflow.ExecuteActivityAsync((ISnapshotActivities a) => a.WithdrawSnapshotAsync(request), Steps.Ending());
        }
        else
        {
            await Workflow.ExecuteActivityAsync((ISnapshotActivities a) => a.FailSnapshotAsync(new(request, trouble)), Steps.Ending());
        }

        acceptance ??= new(null, reason);
        if (admitted is null && !cancelled && reason.Kind.IsRefusal())
        {
            return await EndAsync(new(RunStatus.Refused, reason));
        }

        await Workflow.WaitConditionAsync(() => Workflow.AllHandlersFinished, CancellationToken.None);
        throw cancelled ? new OperationCanceledException(reason.Message, failure, Workflow.CancellationToken) : reason.Failure(failure);
    }

    private static async Task<RunEnd> EndAsync(RunEnd end)
    {
        await Workflow.WaitConditionAsync(() => Workflow.AllHandlersFinished, CancellationToken.None);
        return end;
    }
}
