using System.Reflection;
using SnapshotFlow.TemporalDev.Engine;
using SnapshotFlow.TemporalDev.Rpc;

namespace SnapshotFlow.TemporalDev.Hosting;

/// <summary>A service of the protocol and the object whose methods serve it.</summary>
/// <param name="Name">Full name, as in the path of a call.</param>
/// <param name="Descriptor">
/// The protocol's own description. Making it costs more than the whole rest of the start, so it is only made for those who ask.
/// </param>
internal sealed record ServedApi(string Name, Func<Google.Protobuf.Reflection.ServiceDescriptor> Descriptor, object Implementation)
{
    private readonly Dictionary<string, MethodInfo> methods = Implementation.GetType().GetMethods(BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly)
        .Where(m => m.GetParameters() is [_, { ParameterType: var context }] && context == typeof(ServerCallContext))
        .ToDictionary(m => m.Name, StringComparer.Ordinal);

    /// <summary>Public methods <c>Task&lt;Response&gt; Name(Request, ServerCallContext)</c>.</summary>
    public IEnumerable<MethodInfo> Methods => methods.Values;

    public bool Serves(string method) => methods.ContainsKey(method);
}

/// <summary>
/// Binds a gRPC service to an object: each method of the protocol is served by the object's method of the same name. No generated
/// service code is needed.
/// </summary>
internal sealed partial class GrpcBinding(ILogger<GrpcBinding> logger)
{
    private static readonly MethodInfo AddUnary = typeof(GrpcBinding).GetMethod(nameof(Add), BindingFlags.NonPublic | BindingFlags.Instance)!;

    public ServerServiceDefinition Bind(ServedApi api)
    {
        var builder = ServerServiceDefinition.CreateBuilder();
        foreach (var method in api.Methods)
        {
            var request = method.GetParameters()[0].ParameterType;
            var response = method.ReturnType.GetGenericArguments()[0];
            AddUnary.MakeGenericMethod(request, response).Invoke(this, [builder, api, method]);
        }

        return builder.Build();
    }

    private void Add<TRequest, TResponse>(ServerServiceDefinition.Builder builder, ServedApi api, MethodInfo method)
        where TRequest : class, IMessage<TRequest>, new()
        where TResponse : class, IMessage<TResponse>, new()
    {
        builder.AddMethod(
            new Method<TRequest, TResponse>(MethodType.Unary, api.Name, method.Name, MarshallerOf<TRequest>(), MarshallerOf<TResponse>()),
            Guard(method.Name, method.CreateDelegate<UnaryServerMethod<TRequest, TResponse>>(api.Implementation)));
    }

    private UnaryServerMethod<TRequest, TResponse> Guard<TRequest, TResponse>(string name, UnaryServerMethod<TRequest, TResponse> method)
        where TRequest : class
        where TResponse : class => async (request, context) =>
    {
        try
        {
            return await method(request, context);
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
            context => parser.ParseFrom(context.PayloadAsReadOnlySequence()));
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Error, "{Method} failed")]
        public static partial void Failed(ILogger logger, string method, Exception error);
    }
}
