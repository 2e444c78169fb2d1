using System.Linq.Expressions;
using Microsoft.Extensions.Options;
using SnapshotFlow.Api.Faults;
using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Workflows;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Api.Enums.V1;
using Temporalio.Client;
using Temporalio.Common;
using Temporalio.Exceptions;

namespace SnapshotFlow.Api.Runs;

/// <summary>
/// Starts the runs about single snapshots, volumes and finished images. Each method returns when the run has accepted the request; a run that refuses is a fault with
/// the run's reason. When nobody accepts in time the answer is 503 and the run is withdrawn. Of a run that was ended from outside before it could answer, the record
/// answers; where there is none nothing has begun, and the same request begins anew.
/// </summary>
internal sealed partial class ResourceRuns(
    ITemporalClient temporal, SnapshotStore snapshots, VolumeStore volumes, OperationStore operations, IOptions<RunOptions> options, ILogger<ResourceRuns> logger)
{
    /// <summary>A run that makes something is asked once whether it accepts, however often the request is repeated; it may be over by then.</summary>
    private const string AcceptUpdateId = "accept";

    /// <summary>The row of the snapshot as it was admitted.</summary>
    public async Task<Snapshot> CreateSnapshotAsync(CreateVolumeSnapshotInput input, CancellationToken ct)
    {
        var acceptance = await AcceptAsync(
            (CreateVolumeSnapshotWorkflow run) => run.RunAsync(input), run => run.AcceptAsync(),
            Start(Names.CreateSnapshotWorkflow(input.Snapshot), WorkflowIdReusePolicy.RejectDuplicate, input.Caller, $"snapshot of volume {input.Volume}"), ct,
            recorded: async () => await snapshots.FindVisibleAsync(input.Snapshot, input.Caller, ct) is { } made ? new SnapshotAcceptance(made, null) : null);
        return acceptance.Snapshot ?? throw Fault.FromService(acceptance.Refusal!);
    }

    /// <summary>The snapshot is <c>deleting</c>, or gone already.</summary>
    public async Task DeleteSnapshotAsync(DeleteSnapshotInput input, CancellationToken ct)
    {
        var acceptance = await AcceptAsync(
            (DeleteSnapshotWorkflow run) => run.RunAsync(input), run => run.AcceptAsync(),
            Start(Names.DeleteSnapshotWorkflow(input.Snapshot), WorkflowIdReusePolicy.AllowDuplicate, input.Caller, $"delete snapshot {input.Snapshot}"), ct, updateId: input.RequestId);
        Require(acceptance.Refusal);
    }

    /// <summary>Nobody finds the image any more. Answers where the report will be.</summary>
    public async Task<OperationId> DeleteImageAsync(DeleteImageInput input, CancellationToken ct)
    {
        var acceptance = await AcceptAsync(
            (DeleteImageWorkflow run) => run.RunAsync(input), run => run.AcceptAsync(),
            Start(Names.DeleteImageWorkflow(input.Image), WorkflowIdReusePolicy.AllowDuplicate, input.Caller, $"delete image {input.Image}", input.Image), ct, updateId: input.RequestId);
        Require(acceptance.Refusal);
        return acceptance.Operation;
    }

    /// <summary>The rows of the volumes are there.</summary>
    public async Task<RestoreAcceptance> RestoreAsync(RestoreImageInput input, CancellationToken ct)
    {
        var acceptance = await AcceptAsync(
            (RestoreImageWorkflow run) => run.RunAsync(input), run => run.AcceptAsync(),
            Start(Names.RestoreImageWorkflow(input.Operation), WorkflowIdReusePolicy.RejectDuplicate, input.Caller, $"restore image {input.Image}", input.Image), ct,
            recorded: async () => await operations.FindVisibleAsync(input.Operation, input.Caller, ct) is { } made
                ? new RestoreAcceptance(made.Id, made.Volumes, made.Status is RunStatus.Refused ? made.Reason : null) : null);
        // Runs are of the Compute surface, where over quota is 403.
        return acceptance.Refusal is { } refusal ? throw Fault.From(refusal) : acceptance;
    }

    /// <summary>The row of the volume as it was admitted.</summary>
    public async Task<Volume> CreateVolumeAsync(CreateVolumeInput input, CancellationToken ct)
    {
        var acceptance = await AcceptAsync(
            (CreateVolumeWorkflow run) => run.RunAsync(input), run => run.AcceptAsync(),
            Start(Names.CreateVolumeWorkflow(input.Volume), WorkflowIdReusePolicy.RejectDuplicate, input.Caller, $"volume from snapshot {input.Snapshot}"), ct,
            recorded: async () => await volumes.FindVisibleAsync(input.Volume, input.Caller, ct) is { } made ? new VolumeAcceptance(made, null) : null);
        return acceptance.Volume ?? throw Fault.FromService(acceptance.Refusal!);
    }

    /// <summary>The volume is <c>deleting</c>, or gone already.</summary>
    public async Task DeleteVolumeAsync(DeleteVolumeInput input, CancellationToken ct)
    {
        var acceptance = await AcceptAsync(
            (DeleteVolumeWorkflow run) => run.RunAsync(input), run => run.AcceptAsync(),
            Start(Names.DeleteVolumeWorkflow(input.Volume), WorkflowIdReusePolicy.AllowDuplicate, input.Caller, $"delete volume {input.Volume}"), ct, updateId: input.RequestId);
        Require(acceptance.Refusal);
    }

    /// <summary>Whether Temporal has the deletion of an image open.</summary>
    public async Task<bool> IsDeletingAsync(ImageId image, CancellationToken ct)
    {
        try
        {
            var run = await temporal.WithinAsync(
                options.Value.AcceptTimeout, ct, rpc => temporal.GetWorkflowHandle(Names.DeleteImageWorkflow(image)).DescribeAsync(new() { Rpc = rpc }));
            return (run ?? throw Fault.Unavailable("Temporal has not answered in time. Try again in a few seconds.")).Status is WorkflowExecutionStatus.Running;
        }
        catch (RpcException e) when (e.Code is RpcException.StatusCode.NotFound)
        {
            return false;
        }
    }

    /// <summary>Asks a restore to stop and undo what it has done; false when it is over.</summary>
    public async Task<bool> CancelRestoreAsync(OperationId operation, CancellationToken ct)
    {
        try
        {
            _ = await temporal.WithinAsync(options.Value.AcceptTimeout, ct, async rpc =>
            {
                await temporal.GetWorkflowHandle(Names.RestoreImageWorkflow(operation)).CancelAsync(new() { Rpc = rpc });
                return "";
            }) ?? throw Fault.Unavailable("Temporal has not answered in time. The restore may go on. Try again in a few seconds.");
            return true;
        }
        catch (RpcException e) when (e.Code is RpcException.StatusCode.NotFound)
        {
            return false;
        }
    }

    /// <summary>Waits until the run that makes an image is over, however it ends.</summary>
    public async Task UntilMadeOrNotAsync(ImageId image, CancellationToken ct)
    {
        try
        {
            _ = await temporal.WithinAsync(options.Value.AcceptTimeout, ct, async rpc =>
            {
                await temporal.GetWorkflowHandle(Names.CreateImageWorkflow(image)).GetResultAsync(rpcOptions: rpc);
                return "";
            }) ?? throw Fault.Unavailable($"Image {image} is still being made, and its run is being undone. Try again in a few seconds.");
        }
        catch (Exception e) when (e is WorkflowFailedException or RpcException { Code: RpcException.StatusCode.NotFound })
        {
            // It was undone, or is long forgotten.
        }
    }

    /// <param name="run">The run.</param>
    /// <param name="accept">Its update.</param>
    /// <param name="start">How it is started; one that is going on is joined.</param>
    /// <param name="ct">Ends the wait.</param>
    /// <param name="updateId">
    /// A deletion may be asked for again after it was refused: under an id that an ended run has answered, Temporal gives that answer again and starts no new run.
    /// </param>
    /// <param name="recorded">What the records say of a run that makes something, and that is over without an answer; null when they know nothing of it.</param>
    private async Task<TAcceptance> AcceptAsync<TWorkflow, TAcceptance>(
        Expression<Func<TWorkflow, Task<RunEnd>>> run, Expression<Func<TWorkflow, Task<TAcceptance>>> accept, WorkflowOptions start, CancellationToken ct, string updateId = AcceptUpdateId,
        Func<Task<TAcceptance?>>? recorded = null)
        where TAcceptance : class
    {
        Task<TAcceptance> AskAsync(RpcOptions rpc) =>
            temporal.ExecuteUpdateWithStartWorkflowAsync(accept, new(WithStartWorkflowOperation.Create(run, start)) { Id = updateId, Rpc = rpc });

        async Task<TAcceptance> AskOrJoinAsync(RpcOptions rpc)
        {
            try
            {
                return await AskAsync(rpc);
            }
            catch (WorkflowAlreadyStartedException) when (recorded is not null)
            {
                start.IdReusePolicy = WorkflowIdReusePolicy.AllowDuplicateFailedOnly;
                return await AnswerOfAsync<TAcceptance>(start.Id!, updateId, rpc) ?? await recorded() ?? await AskAsync(rpc);
            }
        }

        var acceptance = await temporal.WithinAsync(options.Value.AcceptTimeout, ct, async rpc =>
        {
            try
            {
                return await AskOrJoinAsync(rpc);
            }
            catch (WorkflowUpdateFailedException e)
            {
                throw Fault.Unavailable("The request ended before it was accepted. Try again.", e);
            }
        });
        return acceptance ?? throw await WithdrawAsync(start.Id!, ct);
    }

    /// <summary>What a run that is over has answered; null when it was ended from outside before it did.</summary>
    private async Task<TAcceptance?> AnswerOfAsync<TAcceptance>(string workflow, string updateId, RpcOptions rpc) where TAcceptance : class
    {
        try
        {
            return await temporal.GetWorkflowHandle(workflow).GetUpdateHandle<TAcceptance>(updateId).GetResultAsync(rpc);
        }
        catch (Exception e) when (e is WorkflowUpdateFailedException or RpcException { Code: RpcException.StatusCode.NotFound })
        {
            return null;
        }
    }

    /// <summary>Nobody waits for it any more. What has not begun never will; a deletion that has goes forward.</summary>
    private async Task<Fault> WithdrawAsync(string workflow, CancellationToken ct)
    {
        Log.Withdrawn(logger, workflow);
        try
        {
            _ = await temporal.WithinAsync(options.Value.AcceptTimeout, ct, async rpc =>
            {
                await temporal.GetWorkflowHandle(workflow).CancelAsync(new() { Rpc = rpc });
                return "";
            });
        }
        catch (RpcException e) when (e.Code is RpcException.StatusCode.NotFound)
        {
            // It is over by now.
        }

        return Fault.Unavailable("No worker has accepted the request in time, and it was withdrawn. Look before you try again.");
    }

    private static WorkflowOptions Start(string id, WorkflowIdReusePolicy reuse, Caller caller, string summary, ImageId? image = null)
    {
        var attributes = new SearchAttributeCollection.Builder().Set(SearchAttributes.ProjectId, caller.ProjectId);
        if (image is { } known)
        {
            attributes.Set(SearchAttributes.ImageId, known.ToString());
        }

        return new(id, Names.ControlQueue)
        {
            IdConflictPolicy = WorkflowIdConflictPolicy.UseExisting,
            IdReusePolicy = reuse,
            // The longest that its own time-outs add up to: whatever keeps it from its end, it has one.
            RunTimeout = Steps.LongestRun,
            TypedSearchAttributes = attributes.ToSearchAttributeCollection(),
            StaticSummary = summary,
        };
    }

    private static void Require(Refusal? refusal)
    {
        if (refusal is not null)
        {
            throw Fault.FromService(refusal);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(310, LogLevel.Warning, "No worker accepted {WorkflowId} in time; it is withdrawn")]
        public static partial void Withdrawn(ILogger logger, string workflowId);
    }
}
