using SnapshotFlow.Model;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Exceptions;
using Temporalio.Workflows;

namespace SnapshotFlow.Workflows;

/// <summary>Answers what <see cref="CreateImageWorkflow"/> would do with a request, without writing, freezing or cutting anything.</summary>
[Workflow("PlanImage")]
public sealed class PlanImageWorkflow
{
    /// <summary>The process.</summary>
    [WorkflowRun]
    public async Task<ImagePlan> RunAsync(CreateImageInput request)
    {
        try
        {
            var prepared = await Workflow.ExecuteActivityAsync(
                (IRecordActivities a) => a.PlanImageAsync(request),
                new()
                {
                    TaskQueue = Names.ControlQueue,
                    StartToCloseTimeout = TimeSpan.FromSeconds(10),
                    ScheduleToCloseTimeout = TimeSpan.FromSeconds(20),
                    RetryPolicy = Retries.Quick,
                });
            var doubt = await FreezeDecision.DoubtAsync(request, prepared);
            var best = ConsistencyVerdict.Judge(prepared.Server.Running, null, doubt, []);
            return prepared.Server.Running && doubt is null
                ? new(null, Consistency.Application, null, prepared.Draft.Volumes)
                : new(null, best.Consistency, best.Reason, prepared.Draft.Volumes);
        }
        catch (FailureException e) when (Failures.Describe(e) is { } refusal && refusal.Kind.IsRefusal() && !TemporalException.IsCanceledException(e))
        {
            return new(refusal, null, null, []);
        }
    }
}
