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

    /// <summary>Whether the run with a workflow id is open. Fails when nobody can say.</summary>
    Task<bool> LivesAsync(string workflow, CancellationToken cancellationToken);
}

/// <summary>Whether a run lives.</summary>
/// <param name="Live">It is open.</param>
/// <param name="Words">How it ended, or that nothing is known of it; for people.</param>
public sealed record RunState(bool Live, string Words);

/// <summary>Asks Temporal, by the workflow id.</summary>
public sealed class TemporalRunDirectory(ITemporalClient client) : IRunDirectory
{
    /// <inheritdoc/>
    public Task<RunState> FindAsync(ImageId image, CancellationToken cancellationToken) => FindAsync(Names.CreateImageWorkflow(image), cancellationToken);

    /// <inheritdoc/>
    public async Task<bool> LivesAsync(string workflow, CancellationToken cancellationToken) => (await FindAsync(workflow, cancellationToken)).Live;

    private async Task<RunState> FindAsync(string workflow, CancellationToken cancellationToken)
    {
        try
        {
            var run = await client.GetWorkflowHandle(workflow).DescribeAsync(new() { Rpc = new() { CancellationToken = cancellationToken } });
            return new(run.Status is WorkflowExecutionStatus.Running, run.Status.ToString().ToLowerInvariant());
        }
        catch (RpcException e) when (e.Code is RpcException.StatusCode.NotFound)
        {
            return new(false, "unknown");
        }
    }
}
