using SnapshotFlow.Model;
using Temporalio.Api.Enums.V1;
using Temporalio.Client;
using Temporalio.Exceptions;

namespace SnapshotFlow.Activities;

/// <summary>Knows which runs live.</summary>
public interface IRunDirectory
{
    /// <summary>Whether the run for an image is open, and in which words. Fails when nobody can say: only a clear answer is one.</summary>
    Task<RunState> FindAsync(ImageId image, CancellationToken cancellationToken);
}

/// <summary>Whether a run lives.</summary>
/// <param name="Live">It is open.</param>
/// <param name="Words">How it ended, or that nothing is known of it; for people.</param>
public sealed record RunState(bool Live, string Words);

/// <summary>Asks Temporal, by the workflow id.</summary>
public sealed class TemporalRunDirectory(ITemporalClient client) : IRunDirectory
{
    /// <inheritdoc/>
    public async Task<RunState> FindAsync(ImageId image, CancellationToken cancellationToken)
    {
        try
        {
            var run = await client.GetWorkflowHandle(Names.CreateImageWorkflow(image)).DescribeAsync(new() { Rpc = new() { CancellationToken = cancellationToken } });
            return new(run.Status is WorkflowExecutionStatus.Running, run.Status.ToString().ToLowerInvariant());
        }
        catch (RpcException e) when (e.Code is RpcException.StatusCode.NotFound)
        {
            return new(false, "unknown");
        }
    }
}
