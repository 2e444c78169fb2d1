using System.Reflection;
using Google.Protobuf.Reflection;
using SnapshotFlow.TemporalDev.Engine;
using SnapshotFlow.TemporalDev.Rpc;

namespace SnapshotFlow.TemporalDev.Hosting;

/// <summary>
/// Binds a gRPC service from its descriptor: each method is served by the instance method of the same name, and a method that
/// nobody has written answers UNIMPLEMENTED with the name of its feature. No generated service code is needed.
/// </summary>
internal sealed partial class GrpcBinding(ILogger<GrpcBinding> logger)
{
    private static readonly MethodInfo AddUnary = typeof(GrpcBinding).GetMethod(nameof(Add), BindingFlags.NonPublic | BindingFlags.Instance)!;

    public ServerServiceDefinition Bind(Google.Protobuf.Reflection.ServiceDescriptor service, object implementation)
    {
        var builder = ServerServiceDefinition.CreateBuilder();
        foreach (var method in service.Methods)
        {
            AddUnary.MakeGenericMethod(method.InputType.ClrType, method.OutputType.ClrType).Invoke(this, [builder, method, implementation]);
        }

        return builder.Build();
    }

    private void Add<TRequest, TResponse>(ServerServiceDefinition.Builder builder, MethodDescriptor method, object implementation)
        where TRequest : class, IMessage<TRequest>, new()
        where TResponse : class, IMessage<TResponse>, new()
    {
        var target = implementation.GetType().GetMethod(method.Name, [typeof(TRequest), typeof(ServerCallContext)]);
        UnaryServerMethod<TRequest, TResponse> handler = target is null
            ? (_, _) => throw Unimplemented.Method(method)
            : Guard(method.Name, target.CreateDelegate<UnaryServerMethod<TRequest, TResponse>>(implementation));
        builder.AddMethod(
            new Method<TRequest, TResponse>(MethodType.Unary, method.Service.FullName, method.Name, MarshallerOf<TRequest>(), MarshallerOf<TResponse>()),
            handler);
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
