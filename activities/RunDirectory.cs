using SnapshotFlow.Model;
using Temporalio.Api.Enums.V1;
using Temporalio.Client;
using Temporalio.Exceptions;

namespace SnapshotFlow.Activities;

/// <summary>Knows which runs live.</summary>
public interface IRunDirectory
{
    /// <summary>Whether the run with a workflow id is open, and in which words. Fails when nobody can say: only a clear answer is one.</summary>
    Task<WorkFact> FindAsync(string workflow, CancellationToken cancellationToken);
}

/// <summary>Asks Temporal, by the workflow id.</summary>
public sealed class TemporalRunDirectory(ITemporalClient client) : IRunDirectory
{
    /// <inheritdoc/>
    public async Task<WorkFact> FindAsync(string workflow, CancellationToken cancellationToken)
    {
        try
        {
            var run = await client.GetWorkflowHandle(workflow).DescribeAsync(new() { Rpc = new() { CancellationToken = cancellationToken } });
            return new(run.Status is WorkflowExecutionStatus.Running, run.Status.ToString().ToLowerInvariant(), new DateTimeOffset(run.StartTime));
        }
        catch (RpcException e) when (e.Code is RpcException.StatusCode.NotFound)
        {
            return new(false, "unknown", null);
        }
    }
}
