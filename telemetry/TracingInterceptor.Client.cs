using System.Diagnostics;
using OpenTelemetry;
using Temporalio.Api.Common.V1;
using Temporalio.Client;
using Temporalio.Client.Interceptors;

namespace SnapshotFlow.Telemetry;

public sealed partial class TracingInterceptor
{
    /// <summary>Spans of the calls that workflows hear of; the span's context goes with the call.</summary>
    private sealed class TracedClient(ClientOutboundInterceptor next) : ClientOutboundInterceptor(next)
    {
        private static TracerData Current => new(Activity.Current?.Context ?? default, default, Baggage.Current);

        public override Task<WorkflowHandle<TWorkflow, TResult>> StartWorkflowAsync<TWorkflow, TResult>(StartWorkflowInput input) => InSpanAsync(
            input.Options.StartSignal is null ? $"StartWorkflow:{input.Workflow}" : $"SignalWithStartWorkflow:{input.Workflow}",
            input.Options.Id,
            input.Headers,
            headers => base.StartWorkflowAsync<TWorkflow, TResult>(input with { Headers = headers }));

        public override Task<WorkflowUpdateHandle<TResult>> StartUpdateWithStartWorkflowAsync<TResult>(StartUpdateWithStartWorkflowInput input)
        {
            var start = input.Options.StartWorkflowOperation!;
            return InSpanAsync(
                $"UpdateWithStartWorkflow:{start.Workflow}",
                start.Options.Id,
                input.Headers,
                headers =>
                {
                    // The operation is the caller's own object, and remembers there whether it was used.
                    start.Headers = Current.Into(start.Headers);
                    return base.StartUpdateWithStartWorkflowAsync<TResult>(input with { Headers = headers });
                });
        }

        public override Task<WorkflowUpdateHandle<TResult>> StartWorkflowUpdateAsync<TResult>(StartWorkflowUpdateInput input) =>
            InSpanAsync($"UpdateWorkflow:{input.Update}", input.Id, input.Headers, headers => base.StartWorkflowUpdateAsync<TResult>(input with { Headers = headers }));

        public override Task SignalWorkflowAsync(SignalWorkflowInput input) =>
            InSpanAsync($"SignalWorkflow:{input.Signal}", input.Id, input.Headers, async headers =>
            {
                await base.SignalWorkflowAsync(input with { Headers = headers });
                return true;
            });

        public override Task<TResult> QueryWorkflowAsync<TResult>(QueryWorkflowInput input) =>
            InSpanAsync($"QueryWorkflow:{input.Query}", input.Id, input.Headers, headers => base.QueryWorkflowAsync<TResult>(input with { Headers = headers }));

        public override Task CancelWorkflowAsync(CancelWorkflowInput input) => InSpanAsync("CancelWorkflow", input.Id, null, async _ =>
        {
            await base.CancelWorkflowAsync(input);
            return true;
        });

        private static async Task<T> InSpanAsync<T>(string name, string? workflowId, IDictionary<string, Payload>? headers, Func<IDictionary<string, Payload>?, Task<T>> call)
        {
            using var span = TelemetrySources.ClientSource.StartActivity(name, ActivityKind.Client);
            span?.SetTag(WorkflowIdTag, workflowId);
            try
            {
                return await call(Current.Into(headers));
            }
            catch (Exception e)
            {
                Fail(span, e);
                throw;
            }
        }
    }
}
