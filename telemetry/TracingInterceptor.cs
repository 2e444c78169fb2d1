using System.Diagnostics;
using Temporalio.Client.Interceptors;
using Temporalio.Exceptions;
using Temporalio.Worker.Interceptors;

namespace SnapshotFlow.Telemetry;

/// <summary>
/// One trace from the call that starts a workflow to its last activity, through retries, crashes and resumption: the context travels in a header
/// (<see cref="TracerData"/>) that Temporal keeps in the history. Nothing is emitted on replay. A client that has this interceptor gives it to its workers.
/// Span names and attribute names are those of Temporal's own extensions, so that views made for them fit.
/// </summary>
public sealed partial class TracingInterceptor : IClientInterceptor, IWorkerInterceptor
{
    internal const string WorkflowIdTag = "temporalWorkflowID";
    internal const string RunIdTag = "temporalRunID";
    internal const string ActivityIdTag = "temporalActivityID";
    internal const string UpdateIdTag = "temporalUpdateID";

    /// <inheritdoc/>
    public ClientOutboundInterceptor InterceptClient(ClientOutboundInterceptor nextInterceptor) => new TracedClient(nextInterceptor);

    /// <inheritdoc/>
    public WorkflowInboundInterceptor InterceptWorkflow(WorkflowInboundInterceptor nextInterceptor) => new TracedWorkflow(nextInterceptor);

    /// <inheritdoc/>
    public ActivityInboundInterceptor InterceptActivity(ActivityInboundInterceptor nextInterceptor) => new TracedActivity(nextInterceptor);

    /// <inheritdoc/>
    public NexusOperationInboundInterceptor InterceptNexusOperation(NexusOperationInboundInterceptor nextInterceptor) => nextInterceptor;

    private static void Fail(Activity? span, Exception e)
    {
        if (span is null)
        {
            return;
        }

        // Semantic conventions, error.type: the most specific name of a class of errors that is known to be few.
        span.SetTag("error.type", (e as ApplicationFailureException)?.ErrorType ?? e.GetType().FullName);
        span.SetStatus(ActivityStatusCode.Error, e.Message);
    }
}
