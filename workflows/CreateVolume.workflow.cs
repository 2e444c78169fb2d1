using SnapshotFlow.Model;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Workflows;

namespace SnapshotFlow.Workflows;

/// <summary>
/// Makes one volume from a snapshot: what Block Storage does behind <c>POST volumes</c>.
/// <list type="bullet">
/// <item>A request that can be refused is refused before anything is written, and the update <c>Accept</c> says so.</item>
/// <item>A volume that cannot be made is left as <c>error</c>, with nothing in the back end if that can be helped; it holds its quota until it is deleted.</item>
/// <item>A run that is cancelled leaves nothing.</item>
/// </list>
/// The workflow id is <see cref="Names.CreateVolumeWorkflow"/>.
/// </summary>
[Workflow("CreateVolume")]
public sealed class CreateVolumeWorkflow
{
    private readonly CreateVolumeInput request;

    private VolumeAcceptance? acceptance;
    private AdmittedVolume? admitted;

    /// <summary>Reads the request before the first handler can run.</summary>
    [WorkflowInit]
    public CreateVolumeWorkflow(CreateVolumeInput request) => this.request = request;

    /// <summary>The process.</summary>
    [WorkflowRun]
    public async Task<RunEnd> RunAsync(CreateVolumeInput request)
    {
        try
        {
            admitted = await Workflow.ExecuteActivityAsync((IVolumeRecordActivities a) => a.AdmitVolumeAsync(request), Steps.Recording(Steps.WhileCallerWaits));
            acceptance = new(admitted.Volume, null);
            var toMake = admitted.ToMake;
            var made = await Workflow.ExecuteActivityAsync(
                (IVolumeCloneActivities a) => a.CreateVolumeFromSnapshotAsync(toMake),
                Steps.Driving(toMake.Backend, $"make {Names.Volume(toMake.Volume)} {toMake.SizeGib} GiB from {Names.Snapshot(toMake.Snapshot)} on {toMake.Backend}"));
            await Workflow.ExecuteActivityAsync((IVolumeRecordActivities a) => a.CompleteVolumeAsync(made), Steps.Recording());
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
    public async Task<VolumeAcceptance> AcceptAsync()
    {
        await Workflow.WaitConditionAsync(() => acceptance is not null, CancellationToken.None);
        return acceptance!;
    }

    private async Task<RunEnd> GiveUpAsync(Exception failure)
    {
        var reason = Failures.Describe(failure);
        var cancelled = Workflow.CancellationToken.IsCancellationRequested;
        var remnant = admitted is null ? null : await Steps.DeleteVolumeAsync(request.Volume, admitted.ToMake.Backend);
        if (admitted is null || (cancelled && remnant is null))
        {
            await Workflow.ExecuteActivityAsync((IVolumeRecordActivities a) => a.WithdrawVolumeAsync(request), Steps.Ending());
        }
        else
        {
            await Workflow.ExecuteActivityAsync((IVolumeRecordActivities a) => a.FailVolumeAsync(new(request)), Steps.Ending());
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
