// Looks up names with Netty's DnsNameResolver, and prints the results as lookup.c does. Usage: java Lookup STAGGER NAME...

import io.netty.channel.nio.NioEventLoopGroup;
import io.netty.channel.socket.nio.NioDatagramChannel;
import io.netty.channel.socket.nio.NioSocketChannel;
import io.netty.resolver.dns.DnsNameResolver;
import io.netty.resolver.dns.DnsNameResolverBuilder;
import io.netty.util.concurrent.Future;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Collectors;

public final class Lookup {
    public static void main(String[] arguments) throws InterruptedException {
        int stagger = Integer.parseInt(arguments[0]);
        NioEventLoopGroup group = new NioEventLoopGroup(1);
        CountDownLatch left = new CountDownLatch(arguments.length - 1);
        List<DnsNameResolver> resolvers = new ArrayList<>();
        for (int index = 1; index < arguments.length; index++) {
            String name = arguments[index];
            // A resolver of its own has no cache of earlier lookups.
            DnsNameResolver resolver = new DnsNameResolverBuilder(group.next())
                    .channelType(NioDatagramChannel.class)
                    .socketChannelType(NioSocketChannel.class)
                    .build();
            resolvers.add(resolver);
            long began = System.nanoTime();
            resolver.resolveAll(name).addListener((Future<List<InetAddress>> done) -> {
                report(name, (System.nanoTime() - began) / 1000, done);
                left.countDown();
            });
            Thread.sleep(stagger / 1000);
        }
        left.await();
        System.exit(0);
    }

    private static void report(String name, long microseconds, Future<List<InetAddress>> done) {
        String addresses = "";
        String error = "null";
        if (done.isSuccess()) {
            addresses = done.getNow().stream()
                    .map(found -> '"' + found.getHostAddress() + '"')
                    .collect(Collectors.joining(","));
        } else {
            error = '"' + done.cause().getClass().getSimpleName() + '"';
        }
        System.out.println("{\"name\":\"" + name + "\",\"microseconds\":" + microseconds + ",\"error\":" + error
                + ",\"addresses\":[" + addresses + "]}");
    }
}
