using System.Reflection;
using SnapshotFlow.TemporalDev.Engine;
using SnapshotFlow.TemporalDev.Rpc;

namespace SnapshotFlow.TemporalDev.Hosting;

/// <summary>
/// Binds a gRPC service from the class that implements it: each public method that takes a message and a call context and promises a
/// message is the call of that name. A call that nobody has written is answered by <see cref="Unimplemented"/>. No generated service
/// code is needed, and no descriptors: making those of the workflow service would be two thirds of the server's start.
/// </summary>
internal sealed partial class GrpcBinding(ILogger<GrpcBinding> logger)
{
    /// <summary>
    /// Largest request in bytes, and the beginning of the text that refuses a larger one: by it a worker knows that trying again is of no use.
    /// Source: gRPC's default limit, which the official server keeps, and its message.
    /// </summary>
    private const int LargestRequest = 4 * 1024 * 1024;

    private static readonly MethodInfo AddUnary = typeof(GrpcBinding).GetMethod(nameof(Add), BindingFlags.NonPublic | BindingFlags.Instance)!;

    /// <param name="service">Full name, for example <c>temporal.api.workflowservice.v1.WorkflowService</c>.</param>
    /// <param name="implementation">Has the calls as methods.</param>
    public ServerServiceDefinition Bind(string service, object implementation)
    {
        var builder = ServerServiceDefinition.CreateBuilder();
        foreach (var method in implementation.GetType().GetMethods())
        {
            if (method.GetParameters() is [{ ParameterType: var request }, { ParameterType: var context }] && context == typeof(ServerCallContext)
                && method.ReturnType.GenericTypeArguments is [var response])
            {
                AddUnary.MakeGenericMethod(request, response).Invoke(this, [builder, service, method, implementation]);
            }
        }

        return builder.Build();
    }

    private void Add<TRequest, TResponse>(ServerServiceDefinition.Builder builder, string service, MethodInfo method, object implementation)
        where TRequest : class, IMessage<TRequest>, new()
        where TResponse : class, IMessage<TResponse>, new() => builder.AddMethod(
            new Method<TRequest, TResponse>(MethodType.Unary, service, method.Name, MarshallerOf<TRequest>(), MarshallerOf<TResponse>()),
            Tracing.Traced(service, method.Name, Guard(method.Name, method.CreateDelegate<UnaryServerMethod<TRequest, TResponse>>(implementation))));

    private UnaryServerMethod<TRequest, TResponse> Guard<TRequest, TResponse>(string name, UnaryServerMethod<TRequest, TResponse> method)
        where TRequest : class
        where TResponse : class => async (request, context) =>
    {
        try
        {
            var answer = await method(request, context);
            Undelivered.Watch(context);
            return answer;
        }
        catch (Fault fault)
        {
            throw Errors.ToRpc(fault);
        }
        catch (OperationCanceledException) when (context.CancellationToken.IsCancellationRequested)
        {
            throw new RpcException(new Status(StatusCode.Cancelled, "the caller has gone"));
        }
        catch (Exception e) when (e is not RpcException)
        {
            Log.Failed(logger, name, e);
            throw new RpcException(new Status(StatusCode.Internal, $"{name} failed: {e.Message}"));
        }
    };

    private static Marshaller<T> MarshallerOf<T>()
        where T : IMessage<T>, new()
    {
        var parser = new MessageParser<T>(() => new T());
        return new Marshaller<T>(
            (message, context) =>
            {
                context.SetPayloadLength(message.CalculateSize());
                message.WriteTo(context.GetBufferWriter());
                context.Complete();
            },
            context => context.PayloadLength <= LargestRequest
                ? parser.ParseFrom(context.PayloadAsReadOnlySequence())
                : throw new RpcException(new Status(
                    StatusCode.ResourceExhausted,
                    $"grpc: received message larger than max ({context.PayloadLength} vs. {LargestRequest})")));
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Error, "{Method} failed")]
        public static partial void Failed(ILogger logger, string method, Exception error);
    }
}
